"""What is on the sky of a case: its patches, what is drawn on them, their epochs, and the targets that are added."""

from typing import Literal

from pydantic import Field

from .files import Problem
from .models import Given, Model, Name, Number, Open, Pair, Positive, Share, Text, Whole, absent

TRANSIENTS = "transients"
"""Population of what is there in one epoch alone."""


class Patch(Model):
    """The block of sky that is resampled."""

    size: Whole | None = absent(
        ge=16, le=10000, description="Side in pixels inside the border. Real images: default tiling.block."
    )
    border: Whole | None = absent(
        ge=0,
        le=2000,
        description="Pixels around it without targets, at least half a stamp. Real images: default tiling.border.",
    )
    margin: Number = Field(
        12.0, ge=0, le=600, description="Arcsec around a simulated patch in which sources are drawn too."
    )
    count: Whole | None = absent(
        ge=1,
        le=1000000,
        description="Number of blocks of sky, each a patch (or `visits` of them); of a real image "
        "default as many as there are, or `most`.",
    )
    visits: Whole = Field(
        1,
        ge=1,
        le=999,
        description="Patches per block of simulated sky: the same stars, artificial ones too, with "
        "other noise and another sub-pixel pointing.",
    )
    first: Whole | None = absent(
        ge=0,
        le=1000000,
        description="Number of the first block of simulated sky, default 0: scenarios of a case whose numbers differ "
        "share no sky.",
    )
    most: Whole | None = absent(
        ge=1, description="Real images: where count is not given, use no more blocks than this."
    )


class Drawn(Open):
    """A population that is drawn on simulated patches. Further keys are its options."""

    kind: Text = Field(description="The population, by name: one of this study's, or your own.")
    density: Number = Field(1.0, ge=0, le=4, description="Factor on the population's own density.")
    mag_min: Number | None = absent(
        description="Brightest magnitude that is drawn, in i (isochrone: in `shape_band`); default: the population's."
    )
    mag_max: Number | None = absent(
        description="Faintest magnitude that is drawn, in i (isochrone: in `shape_band`); default: the population's."
    )
    targets: bool = Field(
        True,
        description="Its sources inside the border are targets: to be measured, at their own magnitudes. false: scene, "
        "light that is known.",
    )


class Galaxies(Drawn):
    """Galaxies: Buzzard photometry with the structure of HST galaxies, or of cosmoDC2's."""

    kind: Text = Field(
        "hst_cosmos",
        description="hst_cosmos, cosmodc2, or a population of your own; docs/add-a-population.md has their options.",
    )


class Stars(Drawn):
    """Stars: the TRILEGAL sample of a high Galactic latitude, or an old population of any density."""

    kind: Text = Field(
        "trilegal",
        description="trilegal, isochrone, or a population of your own; docs/add-a-population.md has their options.",
    )
    targets: bool = Field(
        False,
        description="Stars inside the border are targets, as galaxies are: every star of a simulated field is one of "
        "known truth, at its own magnitude, and none has to be added to it.",
    )


class Positions(Model):
    """How galaxies are placed."""

    kind: Literal["random", "clustered"] = Field("random", description="Poisson, or with a power-law correlation.")
    amplitude: Positive = Field(0.4, description="clustered: w(theta) at 1 arcsec.")
    slope: Positive = Field(0.8, lt=2, description="clustered: w(theta) goes as theta to minus this.")
    theta_min: Positive = Field(0.5, description="clustered: least scale, arcsec.")
    theta_max: Positive = Field(30.0, description="clustered: largest scale, arcsec.")

    def problems(self):
        for key in sorted(self.model_fields_set - {"kind"}) if self.kind == "random" else ():
            yield Problem((key,), "is for kind: clustered", "set population.positions.kind: clustered, or remove it")
        if not self.theta_min < self.theta_max:
            yield Problem(("theta_max",), f"is {self.theta_max}, not more than theta_min", "give the largest scale")


class Population(Model):
    """What is drawn on simulated patches."""

    galaxies: Galaxies = Field(Galaxies(), description="Galaxies.")
    stars: Stars = Field(Stars(), description="Stars.")
    others: dict[Name, Drawn] = Field({}, description="Further populations, by a name of your choice.")
    positions: Positions = Field(Positions(), description="How galaxies are placed.")


class Visits(Model):
    """Seeing and depth of each visit."""

    source: Literal["sorcha", "fixed"] = Field(
        "sorcha",
        description="sorcha: of a visit drawn, per patch and band, from a simulated survey (an old baseline, "
        "not for science); fixed: of `survey`.",
    )


class Template(Model):
    """The template: another `survey`, or a number of `visits` of the case's survey."""

    survey: Given | None = absent(description="A file of config/surveys by name, or a path.")
    visits: Whole | None = absent(ge=1, description="Visits of the case's `survey` that are added up.")
    fwhm: Positive | None = absent(
        ge=0.02, le=30, description="FWHM of the template's PSF in arcsec, in all bands; the exposure stays."
    )

    def problems(self):
        if (self.survey is None) == (self.visits is None):
            yield Problem((), "needs one of `survey` and `visits`", "null removes a key that was there before")


class Variables(Model):
    """Stars whose flux in the template differs from that in the visit."""

    share: Share = Field(0.1, description="Share of the stars.")
    amplitude: Number = Field(0.3, ge=0, description="Rms of the difference in mag, per band.")


class Epochs(Model):
    """Simulated patches are single visits, each with a deep template of the same sky."""

    visits: Visits = Field(Visits(), description="Seeing and depth of each visit.")
    template: Template = Field(
        Template(survey="lsst_y10_forecast"),
        description="What the template is made of; if not given, survey: lsst_y10_forecast.",
    )
    registration: Number = Field(
        0.02,
        ge=0,
        le=1,
        description="Registration error: rms in arcsec, of each axis, of an offset per patch and "
        "band between template and visit.",
    )
    variables: Variables = Field(Variables(), description="Variable stars.")
    psf_stars: Whole = Field(
        0,
        ge=0,
        le=10000,
        description="Stars elsewhere on the detector on which the PSFs of visit and template are measured, as those of "
        "real images are; 0: the subtraction knows them.",
    )


class Beside(Model):
    """Targets beside brighter sources: weights make them what evenly spread targets would say."""

    factor: Positive = Field(
        30.0, description="Targets with one brighter source within reach are 1 + this times as dense as others."
    )
    separation: Pair = Field([0, 4], description="Least and largest distance from a brighter source, arcsec.")
    brighter_by: Pair = Field(
        [0, 10], description="Least and largest difference of the two magnitudes in `shape_band`."
    )

    def problems(self):
        for key in ("separation", "brighter_by"):
            low, high = getattr(self, key)
            if not 0 <= low < high:
                yield Problem((key,), f"is {[low, high]}", "give the least first, then the largest, from 0 on")


class Inject(Open):
    """Sources of known truth added to the sky: from a `catalogue`, or of a `population`, whose options are here."""

    catalogue: Given | None = absent(
        description="Injection catalogue (CSV, ECSV, Parquet, FITS) with LSST source_injection columns."
    )
    population: Text | None = absent(
        description="What is drawn, by name: hst_cosmos, sersic, stars, transients, or a population of your own. All "
        "further keys are its options."
    )
    per_patch: Whole = Field(16, ge=1, le=100000, description="Targets per patch.")
    realisations: Whole = Field(
        1, ge=1, le=999, description="Patches with different targets per block of a real image."
    )
    mag: Pair = Field([20, 25.5], description="Brightest and faintest magnitude, uniform between, in `shape_band`.")
    separation: Number = Field(12, ge=0, description="Least distance between targets, arcsec.")
    counts_slope: Number = Field(
        0.0, description="Slope of the drawn counts in log10 per mag; 0: uniform in magnitude, 0.3: as galaxies are."
    )
    beside: Beside | None = absent(
        description="Put targets beside brighter sources, with weights; null: spread them evenly."
    )
    photon_noise: bool = Field(True, description="false: targets without photon noise of their own.")
    beta: Literal["source_injection", "position_angle"] = Field(
        "source_injection", description="catalogue: angles as source_injection has them, or position angles."
    )
    trail_mag: Literal["pixel", "total"] = Field(
        "pixel", description="catalogue: a trail's magnitude is that of one pixel of it, or of all of it."
    )

    fits_alignment: Literal["wcs", "pixel"] = Field(
        "wcs", description="catalogue: stamps lie as their own WCS has them on the sky, or as their pixels lie."
    )

    def problems(self):
        if (self.catalogue is None) == (self.population is None):
            remedy = "say where the targets come from; population: null, or catalogue: null, removes what was there"
            yield Problem((), "needs one of `catalogue` and `population`", remedy)
        if not self.mag[0] < self.mag[1]:
            yield Problem(("mag",), f"is {self.mag}", "give the brightest magnitude first, then the faintest")
        for name, value in self.model_extra.items() if self.catalogue else ():
            if value is not None:  # null removes what a population had
                yield Problem((name,), "is not for a catalogue", f"remove it ({name}: null), or set population")

    def plain(self):
        plain = super().plain()
        return {k: v for k, v in plain.items() if not (self.catalogue and k in self.model_extra)}
