"""Definitions of real images: where the pixels are, and how they are cut into blocks."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ..errors import StudyError
from .files import Problem, find, load_yaml, merge, raise_problems, shown
from .models import Band, Hdu, Model, Name, Number, Positive, Text, Whole, absent, load_checked, override, read
from .surveys import sampling_problems
from .tiling import Tiling, no_block

INHERITED = "psf", "mask", "sky"
"""Keys of an image that hold for its template too, unless that has its own."""
FORMS = [("file", "member"), *((key, f"{key}_key") for key in ("zero_point", "gain", "exposure", "saturation"))]
"""Two ways to say the same: a band that says it in one way does not have what is said above it in the other."""
FROM_HERE = "check the path: it is counted from the directory where Snakemake runs"


class Psf(Model):
    """The PSF: measured on the image's own stars, a file, or an analytic profile."""

    kind: Literal["measured", "file", "moffat", "kolmogorov"] = Field(description="Where the PSF comes from.")
    file: Text | None = absent(description="kind: file: a FITS image of the PSF, a PSFEx or a Piff model.")
    hdu: Hdu = Field(0, description="Number or EXTNAME of its HDU; models are found where the first is empty.")
    oversampling: Positive | None = absent(
        le=100, description="Pixels of a PSF image per pixel of the image; by default its own WCS, or else 1."
    )
    pixel_scale: Positive | None = absent(description="Or the pixel scale of a PSF image, arcsec.")
    includes_pixel: bool = Field(
        True,
        description="Whether a PSF image holds the response of the image's pixels, as PSFs made from stars do; false "
        "for one of the optics alone (STPSF): it is convolved with the pixel. It matters where it is resampled.",
    )
    fwhm: Positive | None = absent(description="FWHM in arcsec (moffat, kolmogorov).")
    beta: Number | None = absent(ge=2, le=100, description="Slope of the Moffat profile.")
    size: Whole = Field(
        41,
        ge=11,
        le=201,
        description="Side in pixels of the PSF stamp, odd; images of the PSF and PSFEx models have their own.",
    )

    def problems(self):
        if self.size % 2 == 0:
            yield Problem(("size",), f"is {self.size}, but must be odd", f"give {self.size + 1}")
        if self.oversampling and self.pixel_scale:
            yield Problem((), "has `oversampling` and `pixel_scale`", "give one of them")
        needed = {"file": ("file",), "moffat": ("fwhm", "beta"), "kolmogorov": ("fwhm",)}.get(self.kind, ())
        for key in needed:
            if getattr(self, key) is None:
                yield Problem((), f"a PSF of kind {self.kind} needs `{key}`", "add it")


class Variance(Model):
    """Variance per pixel: measured on the sky, or a plane of the same size."""

    kind: Literal["measured", "photons", "variance", "weight", "rms"] = Field(
        "measured",
        description="measured; photons: sky / gain and read_noise, for crowds that leave no sky to measure (the image "
        "must have its sky); or what the plane holds: the variance, its inverse, or its square root (JWST's ERR).",
    )
    file: Text | None = absent(description="FITS file of the plane; default: the image's own.")
    member: Text | None = absent(description="Or the file of the fetched `input`.")
    hdu: Hdu = Field(0, description="Number or EXTNAME of the HDU of the plane.")
    read_noise: Annotated[Number, Field(ge=0)] | None = absent(
        description="Electrons per pixel, over all exposures (kind: photons)."
    )

    def problems(self):
        if self.kind in ("measured", "photons") and (self.file or self.member):
            yield Problem(
                (), f"is {self.kind}, but names a file", "say what the plane holds: kind: variance, weight or rms"
            )
        if self.read_noise is not None and self.kind != "photons":
            yield Problem(("read_noise",), f"is for kind: photons, this is {self.kind}", "leave it out")


class MaskBit(Model):
    """One bit of a mask."""

    value: Whole = Field(ge=1, description="Value of the bit (1, 2, 4, ...).")
    flag: Literal["BAD", "BRIGHT", "CROSSTALK"] = Field(description="Bit of this study's masks.")
    text: Text = Field(description="What it means and how that is known.")


class Mask(Model):
    """Mask plane and what its values mean."""

    file: Text | None = absent(description="FITS file of the plane; default: the image's own.")
    member: Text | None = absent(description="Or the file of the fetched `input`.")
    hdu: Hdu = Field(0, description="Number or EXTNAME of the HDU of the plane.")
    meaning: list[MaskBit] = Field(
        description="One entry per bit of the mask that is used; bits without an entry are ignored."
    )


class Detector(Model):
    """What the detector left in a raw frame."""

    lines: Literal["rows", "columns"] | None = absent(
        description="Take the median of each of these lines off: a bias that changes from line to line."
    )
    defects: Number | None = absent(
        ge=5,
        description="Mask single pixels this many standard deviations off those around them; the PSF must be 2 "
        "pixels wide.",
    )


class SkyMesh(Model):
    """How the sky is measured."""

    mesh: Whole = Field(256, ge=32, description="Width of the background mesh in pixels.")
    grow: Positive = Field(2.0, description="Margin around sources, arcsec; smaller where sources leave no sky.")
    level: Number | None = absent(description="Level of the sky in image units where it is known; default: measured.")


class Plane(Model):
    """One exposure or coadd in one band, with what is needed to inject sources into it."""

    file: Text | None = absent(description="FITS file, relative to the working directory.")
    member: Text | None = absent(description="Or the file of the fetched `input`, by its base name.")
    hdu: Hdu = Field(0, description="Number or EXTNAME of the HDU with the pixels.")
    zero_point: Number | None = absent(
        description="AB magnitude of one image unit; not needed if BUNIT is a flux density."
    )
    zero_point_key: Text | None = absent(description="Header keyword of the zero point.")
    gain: Positive | None = absent(
        description="Electrons per image unit, over all exposures; not needed if BUNIT is electrons, or electrons per "
        "second."
    )
    gain_key: Text | None = absent(description="Header keyword of the gain.")
    exposure: Positive | None = absent(
        description="Exposure time in seconds, over all exposures, by which the gain is multiplied: for pixels per "
        "second whose gain is in electrons per count."
    )
    exposure_key: Text | None = absent(description="Header keyword of the exposure time.")
    saturation: Number | None = Field(
        None, description="Pixel value of the file, with its sky, from which a pixel is bad."
    )
    saturation_key: Text | None = absent(description="Header keyword of the saturation level; 0 is none.")
    psf: Psf = Field(description="The PSF.")
    variance: Variance = Field(Variance(), description="Variance per pixel.")
    mask: Mask | None = Field(None, description="Mask plane and what its values mean; null: no mask is known.")
    sky: SkyMesh = Field(SkyMesh(), description="How the sky is measured.")

    def problems(self):
        for name in ("zero_point", "gain", "exposure", "saturation"):
            if None not in (getattr(self, name), getattr(self, f"{name}_key")):
                yield Problem((), f"needs one of `{name}` and `{name}_key`", "give the number, or its header keyword")

    def members(self):
        """Yield the key of each part that is a file of the fetched input."""
        for key in ("variance", "mask"):
            if getattr(self, key) and getattr(self, key).member:
                yield key, "member"


class Template(Plane):
    """An earlier image of the same sky on the same pixels, for difference imaging."""

    psf: Psf | None = absent(description="The PSF; default: measured as that of the image is, if it is.")

    def problems(self):
        yield from super().problems()
        if (self.file is None) == (self.member is None):
            yield Problem((), "needs one of `file` and `member`", "say where its pixels are")

    def members(self):
        yield from super().members()
        if self.member:
            yield ("member",)


BandPlane = override(Plane)
"""What one of several bands has of its own."""


class Image(Plane):
    """One real image: where its pixels are, and what is needed to inject sources of known truth into it.

    The pixels are either a `file` of your own or a `member` of a fetched `input`. An image has one `band`, or several
    registered `bands`: then each has what is given above them, and its own keys laid over that.
    """

    name: Name = Field(description="Name; the same as that of the YAML file.")
    title: Text = Field(description="What the image shows, for tables and captions.")
    band: Band | None = absent(description="Band of an image in one band, as named in the `bands` of the case.")
    bands: dict[Band, BandPlane] | None = absent(
        min_length=1,
        description="In place of `band`: several bands on the same pixels, by name; each has its file or HDU, and all "
        "else that is not the same for all: zero_point, gain, psf, variance, mask ...",
    )
    psf: Psf | None = absent(description="The PSF; of several bands it may be given in each.")
    input: Text | None = absent(description="Entry of config/inputs.yaml that holds the image.")
    size: list[Annotated[Whole, Field(ge=1)]] | None = absent(
        min_length=2,
        max_length=2,
        description="Size of the image in pixels, [NAXIS1, NAXIS2]: that of the `file`; needed for a fetched `input`.",
    )
    pixel_scale: Positive | None = absent(
        description="Pixel scale in arcsec: that of the WCS of the `file`; needed for a fetched `input`."
    )
    detector: Detector | None = Field(
        None, description="What the detector left in a raw frame; null: nothing (a survey's calibrated image)."
    )
    template: Template | None = Field(
        None,
        description="An earlier image of the same sky on the same pixels, for difference imaging; null: there is "
        "one epoch. It needs its own zero point and gain; what it does not say of `psf`, `mask` and `sky` is as for "
        "the image.",
    )
    tiling: Tiling = Field(Tiling(), description="How the image is cut into blocks.")
    acknowledgement: Text | None = absent(description="What a user of the pixels has to say.")
    reference: Text = Field(description="Paper or page that describes the image.")
    note: str | None = absent(description="What else a user should know.")

    def plain(self):
        """Return the entry as a dict; what its template does not say of PSF, mask and sky is as for the image.

        Each of several bands is there as a complete entry of one band.
        """
        out = super().plain()
        if self.bands is not None:
            shared = {key: value for key, value in out.items() if key not in Plane.model_fields}
            return {**shared, "bands": {name: read(self._of_band(name), Image)[0].plain() for name in self.bands}}
        if self.template:
            as_here = {**out, "sky": {key: value for key, value in out["sky"].items() if key != "level"}}
            out["template"] |= {key: as_here[key] for key in INHERITED if key not in self.template.model_fields_set}
        return out

    def _of_band(self, name):
        """Return the entry of one of several bands, as a dict: its keys over those that are given above it."""
        own = self.bands[name].plain()
        other = {key: form for pair in FORMS for key, form in (pair, pair[::-1])}
        given = {key: value for key, value in super().plain().items() if key in self.model_fields_set}
        shared = {k: v for k, v in given.items() if k != "bands" and other.get(k) not in own}
        return {**merge(shared, own), "band": name}

    def complete(self):
        """Return the fields that are complete: what is above several bands is a part of each."""
        return {k: v for k, v in super().complete().items() if self.bands is None or k not in Plane.model_fields}

    def problems(self):
        if (self.band is None) == (self.bands is None):
            what = "the key 'band' is missing" if self.band is None else "has `band` and `bands`"
            yield Problem((), what, "give band: its name, or bands: {g: {...}, r: {...}} for several")
        elif self.bands is None:
            yield from self._band_problems()
        elif self.template:
            yield Problem(("template",), "is for images in one band", "give the pair an entry of its own")
        else:
            for name in self.bands:
                yield from (problem.below("bands", name) for problem in read(self._of_band(name), Image)[1])

    def _band_problems(self):
        """Yield the problems of an entry of one band."""
        yield from super().problems()
        if self.psf is None:
            yield Problem((), "the key 'psf' is missing", "add it: kind measured, file, moffat or kolmogorov")
        elif self.template and self.template.psf is None and self.psf.kind != "measured":
            yield Problem(
                ("template",),
                f"the key 'psf' is missing: that of the image is given (kind: {self.psf.kind}), not measured",
                "add template.psf: each epoch has its own",
            )
        if (self.file is None) == (self.input is None) or (self.input is None) != (self.member is None):
            yield Problem((), "needs `file`, or `input` and `member`", "say where the pixels are, in one way")
        if self.input is None:
            yield from (
                Problem((*place, *key), "needs an `input`", "give a `file` instead")
                for place, plane in (((), self), (("template",), self.template))
                if plane
                for key in plane.members()
            )
        else:
            lacking = [key for key in ("size", "pixel_scale") if getattr(self, key) is None]
            yield from (Problem((), f"the key {key!r} is missing", "add it: no file is read yet") for key in lacking)
        if self.size:
            yield from no_block(self.size, self.tiling.plain())


def load_image(name_or_path):
    """Return the definition of a real image (a dict with defaults), by name or path.

    Size and pixel scale of a user's own file are in it, from the header where the entry does not give them.

    Raises
    ------
    StudyError
        If there is no such file or a key is wrong.
    """
    path = Path(find("images", name_or_path))
    image = _load_image(str(path), path.stat().st_mtime_ns)
    if None in (image.get("size"), image.get("pixel_scale")):
        first = next(iter(bands_of(image).values()))
        file = Path(first["file"])
        if not file.is_file():
            raise StudyError(f"the file {file} is not there", f"{shown(path)}: file", FROM_HERE)
        found = _geometry(str(file), first["hdu"], file.stat().st_mtime_ns)
        image = {**image, **{key: value for key, value in found.items() if image.get(key) is None}}
        raise_problems(list(no_block(image["size"], image["tiling"])), [load_yaml(path)])
    found = list(_psf_problems(image))
    raise_problems(found, [load_yaml(path)] if found else ())
    return image


def _psf_problems(image):
    """Yield that the pixels do not sample a profile that is the PSF of the image, or of its template or a band."""
    several = image.get("bands")
    planes = {("bands", band): spec for band, spec in several.items()} if several else {(): image}
    planes[("template",)] = image.get("template") or {}
    for key, plane in planes.items():
        fwhm = plane.get("psf", {}).get("fwhm")
        if fwhm is not None:
            yield from sampling_problems((*key, "psf", "fwhm"), fwhm, image["pixel_scale"])


def bands_of(image):
    """Return {band: entry}, each as that of an image in one band.

    Parameters
    ----------
    image : dict
        As `load_image` returns it.
    """
    return image.get("bands") or {image["band"]: image}


@lru_cache
def _load_image(path, _mtime):
    return load_checked(path, Image, named=True).plain()


@lru_cache
def _geometry(path, hdu, _mtime):
    """Return size and pixel scale of an image, from its header alone."""
    from ..data.hdus import geometry  # astropy is not needed where the entry says it

    return geometry(path, hdu)


def image_files(image, bands=None):
    """Return the files of a user's own that an image is read from, each once; none of a fetched one.

    Parameters
    ----------
    image : dict
        As `load_image` returns it.
    bands : collection of str, optional
        Those that are used; all by default.
    """
    parts = []
    for band, spec in bands_of(image).items():
        for entry in (spec, spec.get("template") or {}) if bands is None or band in bands else ():
            parts += [entry, *(entry.get(key) or {} for key in ("psf", "variance", "mask"))]
    return list(dict.fromkeys(part["file"] for part in parts if "file" in part))
