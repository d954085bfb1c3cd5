"""Survey definitions: PSF, sky noise, gain and depth per band, from physical inputs.

Fluxes are in nJy (AB zero point 31.4). For a band with zero point Z (AB magnitude of a source
of 1 electron/s), sky brightness mu, exposure t and pixel scale p::

    gain  = t 10^(-0.4 (31.4 - Z))          electrons per nJy
    S     = t 10^(-0.4 (mu - Z)) p^2        sky electrons per pixel
    sigma = sqrt(S + R^2) / gain            nJy per pixel
    depth = 31.4 - 2.5 log10(5 sigma sqrt(Neff)),  Neff = 1 / sum P^2

with P the PSF on the pixel grid: the matched filter of a point source on empty sky. R is the noise of reading out and
of the dark current over all exposures; it is 0 where nothing is given: small against the sky of a coadd from the
ground, not in space.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ..errors import StudyError
from .files import Problem, find, load_yaml, nearest, raise_problems
from .models import Model, Name, Number, Positive, Text, absent, load_checked

ZERO_POINT = 31.4
SOURCE_BANDS = "ugrizy"
"""Bands in which the sources of simulated sky have magnitudes."""
NARROWEST, WIDEST = 0.75, 13.0
"""FWHM of a PSF in pixels, before the pixel's response: narrower ones no stage samples, and drawing them takes much
memory; wider ones the 41 pixels of a PSF image do not hold."""
_GRID = 161  # pixels: the sum of P^2 has converged to 1e-4 for every survey here


Magnitude = Annotated[Number, Field(ge=5, le=45)]


class SurveyPsf(Model):
    """PSF of the image before the pixel's response."""

    kind: Literal["kolmogorov", "moffat"] = Field(description="Profile.")
    fwhm: Positive = Field(description="FWHM in arcsec.")
    beta: Number | None = absent(ge=2, le=100, description="Slope of a Moffat profile.")

    def problems(self):
        if self.kind == "moffat" and self.beta is None:
            yield Problem((), "a Moffat PSF needs `beta`", "add e.g. beta: 2.5")


def sampling_problems(key, fwhm, pixel_scale):
    """Yield that a FWHM (arcsec) is out of the range that pixels of this scale sample."""
    if not NARROWEST <= fwhm / pixel_scale <= WIDEST:
        least, most = NARROWEST * pixel_scale, WIDEST * pixel_scale
        yield Problem(
            key,
            f"is {fwhm}, {fwhm / pixel_scale:.3g} pixels of {pixel_scale:.4g} arcsec",
            f"give {least:.3g} to {most:.3g} arcsec: {NARROWEST:g} to {WIDEST:g} pixels",
        )


class BandInputs(Model):
    """What a simulated image needs to know of one band."""

    exposure: Annotated[Number, Field(ge=1e-3, le=1e9)] = Field(description="Total exposure in s.")
    sky_brightness: Annotated[Number, Field(ge=5, le=40)] = Field(description="Sky in AB mag/arcsec2.")
    zero_point_electrons: Annotated[Number, Field(ge=10, le=45)] = Field(
        description="AB magnitude of a source of 1 electron/s."
    )
    psf: SurveyPsf = Field(description="PSF of the image before the pixel's response.")
    depth_5sigma: Magnitude = Field(description="5-sigma point-source depth (AB), as this definition gives it.")
    published_depth: Magnitude | None = absent(description="Depth that the survey publishes, in its own definition.")
    read_noise: Annotated[Number, Field(ge=0, le=1e6)] | None = absent(
        description="Noise of reading out and of the dark current, electrons per pixel over all exposures; 0 if absent."
    )
    light: Literal["u", "g", "r", "i", "z", "y"] | None = absent(
        description="Band of the simulated sources whose magnitudes stand for this one; by default that of its name."
    )


class Reference(Model):
    """Source of a number."""

    text: Text = Field(description="Where the number is from and what it means.")
    link: Annotated[str, Field(pattern="^https?://")] | None = absent(description="Where to read it.")


class SurveyFile(Model):
    """What a simulated image needs to know of a survey.

    A survey states physical inputs per band, or names another survey as its `base` and scales its exposure. Every
    number has an entry in `references`.
    """

    name: Name = Field(description="Name; the same as that of the YAML file.")
    title: Text = Field(description="What it is, for tables and captions.")
    year: Literal["Y1", "Y10"] | None = Field(
        None, description="Survey year whose requirements apply: Y1, Y10, or null."
    )
    base: Text | None = absent(description="Survey to start from: a name, or a path.")
    exposure_scale: Annotated[Number, Field(ge=1e-4, le=1e4)] | None = absent(
        description="Factor on the base's exposure in every band."
    )
    match_depth: dict[Text, Magnitude] | None = absent(
        min_length=1,
        description="5-sigma point-source depth (AB) per band that the effective exposure is chosen to reach.",
    )
    pixel_scale: Annotated[Number, Field(ge=0.005, le=5)] | None = absent(description="Pixel scale in arcsec.")
    bands: dict[Text, BandInputs] | None = absent(
        min_length=1, description="Bands by name, in the order of wavelength."
    )
    references: dict[str, Reference] = Field(description="Source of each number, by key.")

    def problems(self):
        own, scaled = (
            [k for k in keys if getattr(self, k) is not None]
            for keys in (("pixel_scale", "bands"), ("exposure_scale", "match_depth"))
        )
        numbers = own + scaled
        if self.base is not None:
            if len(scaled) != 1:
                yield Problem(
                    ("base",), "needs one of exposure_scale and match_depth", "say how the base's exposure is changed"
                )
            yield from (Problem((k,), "cannot be given beside `base`", "remove it, or remove `base`") for k in own)
        else:
            yield from (Problem((k,), "needs a `base`", "name the survey to start from") for k in scaled)
            yield from (
                Problem((), f"the key {k!r} is missing", "give pixel_scale and bands, or a `base`")
                for k in ("pixel_scale", "bands")
                if k not in own
            )
            numbers = ["pixel_scale", *sorted({k for band in (self.bands or {}).values() for k in band.plain()})]
        if self.pixel_scale is not None:
            for name, band in (self.bands or {}).items():
                yield from sampling_problems(("bands", name, "psf", "fwhm"), band.psf.fwhm, self.pixel_scale)
        yield from (
            Problem(("references",), f"no reference for {k!r}", f"add references.{k}.text")
            for k in numbers
            if k not in self.references
        )


@dataclass(frozen=True)
class SurveyBand:
    """One band of a survey.

    Attributes
    ----------
    name : str
    psf_model : dict
        As `data.psf.psf_object` takes it: ``kind``, ``fwhm`` (arcsec), ``beta``.
    pixel_scale : float
        Arcsec.
    exposure : float
        Total exposure in s; an effective one where the depth was matched or scaled.
    sky_brightness : float
        AB mag/arcsec2.
    zero_point_electrons : float
        AB magnitude of a source of 1 electron/s.
    depth_5sigma : float
        Stated 5-sigma point-source depth (AB).
    depth_reference : str
        Where the stated depth comes from.
    published_depth : float or None
        Depth that the survey publishes, in the definition that its reference gives.
    read_noise : float
        Electrons per pixel over all exposures.
    light : str or None
        Band of the simulated sources whose magnitudes stand for this one; None: they have none.
    """

    name: str
    psf_model: dict = field(hash=False)
    pixel_scale: float
    exposure: float
    sky_brightness: float
    zero_point_electrons: float
    depth_5sigma: float
    depth_reference: str
    published_depth: float | None = None
    read_noise: float = 0.0
    light: str | None = None

    @property
    def zero_point(self):
        """AB magnitude of 1 nJy."""
        return ZERO_POINT

    @property
    def fwhm(self):
        """FWHM of the PSF in arcsec, before the pixel's response."""
        return self.psf_model["fwhm"]

    @property
    def gain(self):
        """Electrons per nJy over the whole exposure."""
        return self.exposure * 10 ** (-0.4 * (ZERO_POINT - self.zero_point_electrons))

    @property
    def sky_electrons(self):
        """Sky electrons per pixel over the whole exposure."""
        rate = 10 ** (-0.4 * (self.sky_brightness - self.zero_point_electrons))
        return self.exposure * rate * self.pixel_scale**2

    @property
    def sky_sigma(self):
        """Standard deviation of the sky in nJy per pixel."""
        return float(np.sqrt(self.sky_electrons + self.read_noise**2) / self.gain)

    def neff(self):
        """Return the noise-effective area of the PSF in pixels, 1 / sum P^2."""
        from ..data.psf import psf_pixels

        return float(1 / np.sum(psf_pixels(self.psf_model, self.pixel_scale, _GRID) ** 2))

    def depth(self, neff=None, snr=5.0):
        """Return the AB magnitude of a point source of matched-filter S/N ``snr`` on the sky.

        Parameters
        ----------
        neff : float, optional
            Noise-effective area in pixels; default that of the PSF. For a Gaussian PSF without
            pixel response it is 4 pi (fwhm / 2.355 / pixel_scale)^2.
        snr : float, optional
            Signal-to-noise ratio.
        """
        area = self.neff() if neff is None else neff
        return float(ZERO_POINT - 2.5 * np.log10(snr * self.sky_sigma * np.sqrt(area)))


@dataclass(frozen=True)
class Survey:
    """A survey: ``bands`` is a dict of name to `SurveyBand`, in the order of the file.

    ``reference`` is a dict of key to {"text", "link"}; ``year`` is "Y1", "Y10" or None.
    """

    name: str
    title: str
    pixel_scale: float
    bands: dict = field(hash=False)
    reference: dict = field(hash=False)
    year: str | None = None

    def band(self, name):
        """Return a `SurveyBand`; the error of an unknown one lists what there is."""
        if name not in self.bands:
            raise StudyError(f"the survey has no band {name!r}", self.name, nearest(name, self.bands))
        return self.bands[name]


def load_survey(name_or_path):
    """Read a survey definition.

    Parameters
    ----------
    name_or_path : str or path
        Name of a file in ``config/surveys`` (without ``.yaml``), or the path of such a file.

    Returns
    -------
    Survey

    Raises
    ------
    StudyError
        If there is no such file, a key is wrong, or a base refers to itself.
    """
    return _load(find("surveys", name_or_path), ())


@lru_cache
def survey_of(name):
    """Return a `Survey`, read once."""
    return load_survey(name)


def _load(path, above):
    path = Path(path)
    if path.resolve() in above:
        raise StudyError("the survey is its own base", str(path), "break the circle of `base` keys")
    data = load_checked(path, SurveyFile, named=True)
    reference = {key: entry.plain() for key, entry in data.references.items()}
    if data.base is None:
        text = reference.get("depth_5sigma", {}).get("text", "")
        bands = {name: _band(name, band, data.pixel_scale, text) for name, band in data.bands.items()}
        return Survey(data.name, data.title, data.pixel_scale, bands, reference, data.year)
    sibling = path.parent / f"{data.base}.yaml"
    base = _load(sibling if sibling.is_file() else find("surveys", data.base), (*above, path.resolve()))
    if data.match_depth:
        text = reference["match_depth"]["text"]
        unknown = [
            Problem(("match_depth", b), f"the base {base.name} has no such band", nearest(b, base.bands))
            for b in data.match_depth
            if b not in base.bands
        ]
        raise_problems(unknown, [load_yaml(path)] if unknown else ())
        bands = {b: _matched(base.bands[b], depth, text) for b, depth in data.match_depth.items()}
    else:
        text = reference["exposure_scale"]["text"]
        bands = {b: _scaled(band, data.exposure_scale, text) for b, band in base.bands.items()}
    return Survey(data.name, data.title, base.pixel_scale, bands, {**base.reference, **reference}, data.year)


def _band(name, entry, pixel_scale, text):
    return SurveyBand(
        name,
        entry.psf.plain(),
        pixel_scale,
        entry.exposure,
        entry.sky_brightness,
        entry.zero_point_electrons,
        entry.depth_5sigma,
        text,
        entry.published_depth,
        entry.read_noise or 0.0,
        entry.light or (name if name in tuple(SOURCE_BANDS) else None),
    )


def _matched(band, depth, text):
    longer = _longer(band, 10 ** (0.8 * (depth - band.depth())))
    return replace(longer, depth_5sigma=depth, depth_reference=text)


def _scaled(band, factor, text):
    deeper = band.depth_5sigma + 1.25 * float(np.log10(factor))
    return replace(_longer(band, factor), depth_5sigma=deeper, depth_reference=text)


def _longer(band, factor):
    """Return a band of so many times the exposures: S/N of a point source goes as the square root of it."""
    return replace(
        band, exposure=band.exposure * factor, read_noise=band.read_noise * float(np.sqrt(factor)), published_depth=None
    )
