"""The rungs of the ladder where difference imaging is the deblender: one `Difference` for each."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from ..data.images import AB_NANOJANSKY
from ..data.light import real_light, sky_variance
from ..measure.sky import estimate_sky
from ..search.own_noise import own_noise
from ..sky.star_field import measured_psf
from ..stats.streams import stream
from ..subtract import SUBTRACTORS
from ..subtract.base import SUBTRACTION_BITS

RUNGS_OF = {
    "truth": "noiseless",
    "isolated": "isolated",
    "exact": "exact",
    "oracle": "clean",
    "undeblended": "undivided",
    "deblended": "real",
    "merged": "clean",
    "pipeline": "real",
}
"""Which difference of `Differences` each rung is measured on."""


def injected(truth, band):
    """Return which rows of a truth table are transients: light that was injected, and so is not in the template."""
    with np.errstate(invalid="ignore"):
        return (np.asarray(truth["injection_id"]) >= 0) & (np.asarray(truth[f"flux_{band}"], float) > 0)


def to_nanojansky(image):
    """Return how many nJy the unit of an image is."""
    return 10 ** (0.4 * (AB_NANOJANSKY - image.zero_point))


def epochs(patch, sky, band, options=None):
    """Return science image and template of one band, each minus its sky; the template is None where there is none.

    Parameters
    ----------
    patch : Patch
    sky : dict of str to (ny, nx) array
        Of the science images.
    band : str
    options : dict, optional
        ``measure.sky``: the template's sky is estimated as that of the science image was.
    """
    science = patch.bands[band]
    science = replace(science, science=science.science - sky[band])
    if band not in patch.templates:
        return science, None
    template = patch.templates[band]
    own = estimate_sky(replace(patch, bands={band: template}, templates={}), options)[band]
    return science, replace(template, science=template.science - own)


def less(image, light):
    """Return an image without some noiseless light."""
    return replace(image, science=image.science - light)


class Differences:
    """The differences of one band of a patch, each made when it is first asked for.

    On a real image the noise of each is what is measured on it, `search.own_noise`, for all that is found and measured
    there: engines take the noise of both images for white. On simulated sky it is white, and they are right.

    Parameters
    ----------
    scene : TruthScene
        The patch and its true sources.
    sky : dict of str to (ny, nx) array
    settings : dict
        ``shape_band`` (the band), ``measure.sky``, ``epochs.psf_stars``.
    made : (Difference, Difference), optional
        Those of the engine under study, from `made_by` and `clean_by`.

    Attributes
    ----------
    noiseless : Difference
        The transients alone, without noise; its variance is that of ``isolated``.
    isolated : Difference
        The transients alone with their photon noise, and the sky's noise.
    exact : Difference
        The science image minus its exact static light, of which the photon noise stays. On a real image, whose static
        light nobody knows: the same as ``isolated``.
    undivided : Difference
        The science image.
    real, clean : Difference or None
        By the engine under study, of science image and template; and of both without their static light. The clean one
        has the noise of both images, under the engine's kernels, and nothing that was not subtracted.
    light, static : (ny, nx) float64 array
        Noiseless light of the transients, and of everything else that is known, in the science image's unit.
    """

    def __init__(self, scene, sky, settings, made=(None, None)):
        self.scene, self.band = scene, settings["shape_band"]
        self.image = scene.patch.bands[self.band]
        self._sky, self._options, (self.real, self.clean) = sky, settings["measure"].get("sky"), made
        self._psf_stars = (settings.get("epochs") or {}).get("psf_stars", 0)
        self.sources = [int(i) for i in scene.truth["source_id"][injected(scene.truth, self.band)]]

    @cached_property
    def light(self):
        return self.scene.plane(self.sources, self.band)

    @cached_property
    def static(self):
        light = self.image.planes["MODEL"] - self.light
        if self.scene.real:
            light = light + real_light(self.image.planes["BASE"], self.image.planes["SEG"])
        return light

    @cached_property
    def epochs(self):
        return epochs(self.scene.patch, self._sky, self.band, self._options)

    @cached_property
    def seen(self):
        """The epochs as an engine is given them: with PSFs that were measured on stars, if ``epochs.psf_stars``."""
        if not self._psf_stars:
            return self.epochs
        key = self.scene.seed, self.scene.case, self.scene.patch.index, self.band
        out = []
        for which, image in zip(("science", "template"), self.epochs):
            if image is not None:
                light = np.maximum(image.planes["MODEL"], 0)
                level = float(np.median(image.variance - light / image.gain))
                psf = measured_psf(image, level, self._psf_stars, stream(*key, which, "PSF stars"))
                image = replace(image, psf=psf)
            out.append(image)
        return tuple(out)

    @cached_property
    def _alone_variance(self):
        """The sky's variance and the transients' own photons."""
        known = np.maximum(self.static + self.light, 0)
        with np.errstate(invalid="ignore"):
            sky = sky_variance(self.image, known)
        return (sky + np.maximum(self.light, 0) / self.image.gain).astype(np.float32)

    def _alone(self, pixels):
        alone = replace(self.image, science=pixels.astype(np.float32), variance=self._alone_variance)
        return SUBTRACTORS.create("none").subtract(alone, None)

    @cached_property
    def noiseless(self):
        alone = self._alone(self.light)
        return own_noise(alone, self._alone_noisy) if self.scene.real else alone

    @cached_property
    def isolated(self):
        return self._own(self._alone_noisy)

    def _own(self, difference):
        return own_noise(difference) if self.scene.real else difference

    @cached_property
    def _alone_noisy(self):
        return self._alone(self.scene.plane(self.sources, self.band, photons=True) + self.image.planes["NOISE"])

    @cached_property
    def exact(self):
        if self.scene.real:
            return self.isolated
        return SUBTRACTORS.create("truth").subtract(self.epochs[0], None, static=self.static)

    @cached_property
    def undivided(self):
        return self._own(SUBTRACTORS.create("none").subtract(*self.epochs))

    def made_by(self, engine):
        """Return the `Difference` of science image and template that a subtraction engine makes."""
        return self._own(engine.subtract(*self.seen, **self._told(engine, self.static)))

    def clean_by(self, engine):
        """Return that of both images without the noiseless light of what does not change; their variances keep it.

        It is `exact` on a real image, whose static light nobody knows, and where an engine fails without sources to
        measure on.
        """
        if self.scene.real:
            return self.exact
        science, template = self.seen
        still = None if template is None else less(template, template.planes["MODEL"])
        clean = engine.subtract(less(science, self.static), still, **self._told(engine, np.zeros_like(self.static)))
        return self.exact if clean.status & SUBTRACTION_BITS.FAILED else clean

    @staticmethod
    def _told(engine, static):
        return {"static": static} if getattr(engine, "needs_truth", False) else {}

    def of(self, rung):
        """Return the `Difference` of a rung."""
        return getattr(self, RUNGS_OF[rung])
