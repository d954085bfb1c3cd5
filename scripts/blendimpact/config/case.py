"""One science case: its keys, what its scenarios may override, and what is wrong with the whole of its settings."""

import math
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..errors import MissingPackage, StudyError
from .files import Problem, nearest
from .measure import Measure
from .models import Distinct, Given, Model, Name, Number, Positive, Share, Text, absent, override
from .photo_z import PhotoZ
from .plugins import unknown
from .real_image import bands_of, load_image
from .sky import TRANSIENTS, Epochs, Inject, Patch, Population
from .surveys import SOURCE_BANDS, sampling_problems, survey_of
from .tiling import blocks

RungName = Literal["isolated", "exact", "oracle", "undeblended", "deblended", "merged", "pipeline"]
"""Rungs of the ladder (`blendimpact.ladder.rungs`)."""
SwappedName = Literal["oracle", "undeblended", "merged", "pipeline"]
FIDUCIAL = "fiducial"
LEAST_STAMP, LARGEST_STAMP = 9, 801
"""Sides of the stamp of a source in pixels: smaller ones hold no source, of larger ones a patch fills the memory."""
NO_TEMPLATE = ("none", "truth")
"""Subtractors that do not look at a template."""


class Keys(Model):
    """The keys of a case that a scenario can override."""

    sky: Literal["simulate", "adopt"] = Field(
        "simulate",
        description="Simulated patches, or blocks of a real image. A scenario with the other kind of sky "
        "than the case's does not take over its `patch`.",
    )
    survey: Given | None = absent(description="Survey: a file of config/surveys by name, or a path.")
    image: Given | None = absent(description="Real image: a file of config/images by name, or a path.")
    bands: Annotated[list[Text], Distinct] = Field(min_length=1, description="Bands, in the order of wavelength.")
    shape_band: Text = Field(description="Band of shapes, sizes and matching; one of `bands`.")
    shear: Number = Field(
        0, ge=0, le=0.1, description="Reduced shear g of the +g and -g twins; 0: one patch without shear."
    )
    ring: bool = Field(
        False,
        description="Draw each simulated patch also with the shape of every galaxy turned by 90 degrees about its own "
        "centre: ring pairs, in which additive errors of shapes cancel. Not with a shear.",
    )
    noise_pairs: bool = Field(
        False,
        description="Draw each simulated patch also with all noise of opposite sign, so that the noise of "
        "shapes cancels to first order.",
    )
    patch: Patch = Field(Patch(), description="The block of sky that is resampled.")
    population: Population = Field(Population(), description="What is drawn on simulated patches.")
    epochs: Epochs | None = Field(
        None,
        description="Simulated patches are single visits, each with a deep template of the same sky; null: one "
        "epoch, no template.",
    )
    max_masked: Share = Field(0.1, description="Real image: largest share of masked pixels of a block that is used.")
    truth_snr: Number = Field(
        5, ge=0, description="S/N of the isolated source from which it is in the truth detector's list."
    )
    match_radius: Positive = Field(1.0, description="Arcsec within which a detection is matched to a source.")
    stamp: Positive = Field(12.0, description="Side in arcsec of the stamp on which a source is measured.")
    detector: Text = Field("sep", description="Detector under study.")
    deblender: Text = Field("sep", description="Deblender under study.")
    subtractor: Text | None = Field(
        None,
        description="Engine of difference imaging under study: the case works on differences, with a finder in "
        "place of the detector and no deblender; null: on images.",
    )
    finder: Text | None = Field(
        None, description="Difference finder of a case with a subtractor; null: matched_filter."
    )
    inject: Inject | None = Field(
        None, description="Sources of known truth added to the sky; null: none. Either from a `catalogue` or drawn."
    )
    rungs: Annotated[list[RungName], Distinct] | None = Field(
        None,
        description="Rungs of the ladder that are made; null: all. Without `pipeline` or `deblended` the deblender "
        "does not run on the centres that were found, or on the true ones. The noiseless truth is there too; of an "
        "empty list nothing is measured, and the truth and what is detected alone are scored.",
    )
    swapped: Annotated[list[SwappedName], Distinct] = Field(
        [],
        description="Children on which the detections of each sheared twin are measured on the other one too, carried "
        "through the shear: merged (exact), pipeline (the deblender's), undeblended (raw pixels), oracle (the "
        "brightest source of each alone). Needs a shear; independent of `rungs`.",
    )
    photo_z: PhotoZ | None = Field(
        None, description="Photometric redshifts of all rungs, and their figures of merit; null: none."
    )
    measure: Measure = Field(
        Measure(), description="How child images are measured, where it differs from the study's `measure`."
    )


class Scenario(override(Keys)):
    """Overrides of the case's keys."""


class Case(Scenario):
    """One science case."""

    always: ClassVar = ("enabled", "scenarios")
    enabled: bool = Field(True, description="false: leave the case out of the study.")
    scenarios: dict[Name, Scenario | None] = Field(
        {FIDUCIAL: Scenario()},
        min_length=1,
        description="Variations of the case by name; each overrides some of its keys. null removes one.",
    )


class Sky(override(Keys, without=("sky", "epochs", "deblender", "subtractor"))):
    """A sky of the comparison: a case, and what differs from its fiducial scenario."""

    case: Text = Field(description="Science case.")


class Settings(Keys):
    """All that holds for one case and scenario, complete."""

    case: Text = Field(description="Name of the case.")
    scenario: Text = Field(description="Name of the scenario.")
    pixel_scale: Positive | None = absent(description="Arcsec.")
    zero_point: Number | None = Field(None, description="AB; null where only the image's header knows it.")

    def problems(self):
        """Yield what the keys say against each other, and against the survey or the image."""
        if self.shape_band not in self.bands:
            yield Problem(
                ("shape_band",),
                f"{self.shape_band!r} is not one of the bands",
                f"choose one of {', '.join(self.bands)}",
            )
        kind = {"simulate": "survey", "adopt": "image"}[self.sky]
        if getattr(self, kind) is None:
            yield Problem((), f"sky: {self.sky} needs the key {kind!r}", f"name a file of config/{kind}s")
            return
        image = load_image(self.image) if kind == "image" else None
        bands = dict.fromkeys(bands_of(image)) if image else survey_of(self.survey).bands
        known = list(bands)
        for band in self.bands:
            if band in known and not image and bands[band].light is None:
                yield Problem(
                    ("bands",),
                    f"simulated sources have no light in {band!r} of the survey {self.survey}",
                    f"add bands.{band}.light to the survey: one of {', '.join(SOURCE_BANDS)}",
                )
            if band not in known:
                yield Problem(
                    ("bands",), f"the {kind} {getattr(self, kind)} has no band {band!r}", nearest(band, known)
                )
        yield from self._ring_problems(image)
        if self.swapped and not (self.shear and image is None and self.subtractor is None):
            yield Problem(("swapped",), "needs sheared twins of simulated sky", "give a shear, or set swapped: []")
        yield from self._epoch_problems(image)
        yield from self._visit_problems(image)
        yield from self._star_problems(image)
        yield from self._subtractor_problems(image)
        yield from self._patch_problems(image)
        if self.inject:
            yield from self._injection_problems(image)
        elif image:
            yield Problem(
                ("inject",),
                "a real image without injection has no source of known truth",
                "add e.g. inject: {population: hst_cosmos}",
            )

    def _patch_problems(self, image):
        patch, half = self.patch, self.stamp / self.pixel_scale / 2
        for key in ("size", "border", "count"):
            if getattr(patch, key) is None:
                yield Problem(("patch",), f"the key {key!r} is missing", f"add patch.{key}, see docs/configuration.md")
        if not LEAST_STAMP <= 2 * half <= LARGEST_STAMP:
            yield Problem(
                ("stamp",),
                f"is {self.stamp} arcsec, {2 * half:.4g} pixels",
                f"give {LEAST_STAMP} to {LARGEST_STAMP} pixels of {self.pixel_scale} arcsec",
            )
        if patch.border is not None and patch.border < half:
            least = math.ceil(half)
            yield Problem(
                ("patch", "border"),
                f"is {patch.border} pixels, less than half a stamp ({least})",
                f"give at least {least}, or a smaller stamp: sources at the edge would be cut",
            )
        if image and patch.first:
            yield Problem(("patch", "first"), "is for simulated sky", "remove it")
        if image and None not in (patch.size, patch.border):
            available = len(blocks(image, patch.plain()))
            if (patch.count or 1) > available:
                yield Problem(
                    ("patch", "count"),
                    f"is {patch.count}, but the image has {available} blocks of this size",
                    "ask for fewer or smaller blocks, or for more inject.realisations",
                )

    def _ring_problems(self, image):
        if not self.ring:
            return
        if image:
            yield Problem(("ring",), "is for simulated sky", "set ring: false")
        if self.shear:
            yield Problem(("ring",), "cannot be had with a shear", "set shear: 0, or ring: false")

    def _epoch_problems(self, image):
        if self.epochs is None:
            return
        if image:
            yield Problem(("epochs",), "is for simulated sky", "set epochs: null: a coadd has no second epoch")
            return
        if self.epochs.template.fwhm:
            yield from sampling_problems(("epochs", "template", "fwhm"), self.epochs.template.fwhm, self.pixel_scale)
        name, key = self.epochs.template.survey, ("epochs", "template", "survey")
        if name is None:
            return
        try:
            deep, survey = survey_of(name), survey_of(self.survey)
        except StudyError as error:
            yield Problem(key, str(error).replace("\n  Remedy: ", ". "))
            return
        for band in self.bands:
            if band not in deep.bands:
                yield Problem(key, f"{name} has no band {band!r}", nearest(band, deep.bands))
        if deep.pixel_scale != survey.pixel_scale:
            yield Problem(
                key,
                f"{name} has pixels of {deep.pixel_scale} arcsec, the visits of {survey.pixel_scale}",
                "use surveys of the same pixel scale",
            )

    def _visit_problems(self, image):
        if self.patch.visits == 1:
            return
        key = ("patch", "visits")
        if image:
            yield Problem(key, "is for simulated sky", "of a real image: raise inject.realisations instead")
        if self.epochs is not None:
            yield Problem(
                key,
                "cannot be had with epochs, whose patches are visits of their own",
                "remove it, or set epochs: null",
            )
        if not (self.inject and self.inject.population) and not self.population.stars.targets:
            yield Problem(
                key,
                "is for stars: other targets would count once per visit",
                "remove it, or set population.stars.targets: true or inject.population: stars",
            )

    def _star_problems(self, image):
        if image or not self.population.stars.targets:
            return
        for name, none in (("shear", 0), ("noise_pairs", "false")):
            if getattr(self, name):
                yield Problem(
                    (name,), "is for shapes of galaxies: twins of a star field would count twice", f"set {name}: {none}"
                )

    def _subtractor_problems(self, image):
        name = self.subtractor
        if name is None:
            if self.finder:
                yield Problem(
                    ("finder",),
                    f"{self.finder!r} searches differences, and the case has no subtractor",
                    "set subtractor, e.g. zogy, or finder: null",
                )
            return
        if name not in NO_TEMPLATE and not (image["template"] if image else self.epochs):
            lacking = f"the image {self.image} has none" if image else "simulated patches have one epoch"
            yield Problem(
                ("subtractor",),
                f"{name!r} needs a template, and {lacking}",
                ("give the image a `template`" if image else "give the case `epochs`")
                + ", or set subtractor to one of "
                + ", ".join(NO_TEMPLATE),
            )
        for key, none in (("shear", "0"), ("ring", "false"), ("noise_pairs", "false")):
            if getattr(self, key):
                what = "the template is not sheared" if key == "shear" else "a transient would count twice"
                yield Problem((key,), f"is for shapes of galaxies: {what}", f"set {key}: {none}")
        if self.inject is None and not image:  # of a real image this is said for all cases
            yield Problem(
                ("inject",),
                "is null: nothing would change, and a case with a subtractor measures what does",
                f"give it inject: {{population: {TRANSIENTS}}}, or a catalogue",
            )
        if self.bands != [self.shape_band]:
            yield Problem(
                ("bands",),
                "a case with a subtractor works on the differences of one band",
                f"set bands: [{self.shape_band}]",
            )

    def _injection_problems(self, image):
        inject, key = self.inject, ("inject",)
        if not image and inject.realisations > 1:
            yield Problem((*key, "realisations"), "is for real images", "simulated sky: raise patch.count instead")
        if inject.catalogue and not Path(inject.catalogue).is_file():
            what = f"there is no file {inject.catalogue}"
            yield Problem((*key, "catalogue"), what, "give the path relative to the working directory")


def injection_problems(family, settings):
    """Return what is wrong with the population that is injected and its options, and with the case for it."""
    inject = settings.inject
    if inject is None or inject.population is None:
        return []
    if inject.population not in (names := family.names()):
        return [
            Problem(
                ("inject", "population"),
                f"there is no population {inject.population!r}",
                nearest(inject.population, names),
            )
        ]
    options = dict(inject.model_extra)
    found = [problem.below("inject") for problem in family.problems(inject.population, options)]
    if settings.subtractor and not family.declaration(inject.population).transient:
        found.append(
            Problem(
                ("inject", "population"),
                f"{inject.population!r} do not come and go between epochs",
                f"set inject.population: {TRANSIENTS}, or give a catalogue",
            )
        )
    if found:
        return found
    try:
        return list(family.create(inject.population, options).problems(settings))
    except (ModuleNotFoundError, MissingPackage):  # its jobs have it, or say so
        return []


def population_problems(family, settings):
    """Return what is wrong with the populations that are drawn on simulated sky, and with the case for them."""
    given = settings.population
    found = []
    drawn = {("galaxies",): given.galaxies, ("stars",): given.stars}
    drawn |= {("others", name): block for name, block in given.others.items()}
    for key, block in drawn.items():
        where, options = ("population", *key), dict(block.model_extra)
        wrong = [problem.below(*where, "kind") for problem in unknown(family, block.kind)]
        wrong = wrong or [problem.below(*where) for problem in family.problems(block.kind, options)]
        if not wrong and settings.sky == "simulate":
            try:
                problems = list(family.create(block.kind, options).sky_problems(settings, block))
            except (ModuleNotFoundError, MissingPackage):  # its jobs have it, or say so
                continue
            wrong = [problem.below(*where) for problem in problems]
        found += wrong
    return found
