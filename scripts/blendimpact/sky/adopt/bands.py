"""Several registered bands of a real image: each is adopted by itself, and all have one list of sources.

Sky, noise, PSF and depth are measured on each band alone. The sources, their footprints, positions and sizes are those
of the inverse-variance sum of all bands (a spectrum that is flat in f_nu), which is what detectors search: what any
band reveals is known, and a pixel has one owner in all bands. Fluxes are those of each band in the same Kron apertures.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Table

from ...config.files import nearest
from ...errors import StudyError
from .planes import BAD, read_facts
from .stars import find_objects, kron_fluxes
from .template import WCS_TOLERANCE, check_pixels, compare

FOUND_ON = "inverse-variance sum of all bands, spectrum flat in f_nu"


@dataclass
class AdoptedBands:
    """A real image in several bands, which all have the same pixels and one unit, nJy.

    Attributes
    ----------
    spec : dict
        Entry of the image.
    bands : dict of str to AdoptedImage
        With the fluxes of the common ``objects`` in each, and the common ``segmentation``.
    objects : Table
        As `find_objects` returns them, from the sum of the bands (`FOUND_ON`).
    segmentation : (ny, nx) int32 array
    report : dict
        For report.json: under ``bands`` that of each.
    """

    spec: dict
    bands: dict
    objects: Table
    segmentation: np.ndarray
    report: dict
    template = None

    @property
    def first(self):
        """The first band, whose WCS is that of all."""
        return next(iter(self.bands.values()))

    @property
    def name(self):
        """Name of the image."""
        return self.spec.get("name", "image")

    @property
    def wcs(self):
        """Celestial WCS of all bands."""
        return self.first.wcs

    @property
    def pixel_scale(self):
        """Pixel scale in arcsec."""
        return self.first.pixel_scale

    @property
    def shape(self):
        """(ny, nx)."""
        return self.segmentation.shape

    @property
    def mask(self):
        """The bits that a pixel has in any band."""
        return np.bitwise_or.reduce([image.mask for image in self.bands.values()])


def chosen_bands(spec, bands=None):
    """Return {band: entry} of the bands that are used (default: all), each named after its image and band.

    Raises
    ------
    StudyError
        If the image has no such band.
    """
    name, known = spec.get("name", "image"), spec["bands"]
    for band in bands or ():
        if band not in known:
            raise StudyError(f"the image has no band {band!r}", f"{name}: bands", nearest(band, known))
    return {band: {**known[band], "name": f"{name}: bands.{band}"} for band in bands or known}


@contextmanager
def keys_of_band(spec, band):
    """Say of an error in one of several bands which it is."""
    try:
        yield
    except StudyError as error:
        remedy = f"{error.remedy or 'correct it'} (bands.{band} in the entry {spec.get('name', 'image')})"
        raise StudyError(error.what, error.where, remedy) from error


def check_bands(spec, base_dir, bands=None):
    """Raise if the headers say that the bands of an image do not have the same pixels; reads no pixels.

    Parameters
    ----------
    spec : dict
        Entry of an image in several bands.
    base_dir : path-like
        Folder of the fetched inputs.
    bands : sequence of str, optional
        Those that are used; all by default.

    Raises
    ------
    StudyError
        With file, band, and how far it is off.
    """
    first = reference = None
    for band, entry in chosen_bands(spec, bands).items():
        with keys_of_band(spec, band):
            facts = read_facts(entry, base_dir)
            if first is None:
                first, reference = facts, band
            else:
                where = f"{facts[0].path} ({entry['name']})"
                check_pixels(first, facts, where, f"band {band}", f"band {reference}")


def joined(spec, images):
    """Return `AdoptedBands` of bands that were adopted one by one: sources are found again, on all together.

    Parameters
    ----------
    spec : dict
        Entry of the image.
    images : dict of str to AdoptedImage
        In nJy.

    Raises
    ------
    StudyError
        If the sources of a band are not where those of the first are.
    """
    first = next(iter(images.values()))
    shifts, warnings = {}, []
    for band, image in images.items():
        warnings += [f"band {band}: {sentence}" for sentence in image.report["warnings"]]
        if image is not first:
            found = compare(first, image, f"band {band}", f"band {first.band}")
            shifts[band] = {key: value for key, value in found.items() if key != "flux_ratio"}  # a colour
            warnings += _shifted(band, first.band, found)
    bad = {band: (image.mask & BAD) != 0 for band, image in images.items()}
    objects, segmentation = find_objects(*_sum(images, bad))
    bands = {}
    for band, image in images.items():
        own = objects.copy()
        own["flux"], own["flux_err"] = kron_fluxes(
            image.science, np.sqrt(image.sky_variance), bad[band], objects, segmentation
        )
        bands[band] = replace(image, objects=own, segmentation=segmentation)
    report = {
        **{key: first.report[key] for key in ("shape", "pixel_scale_arcsec", "area_arcmin2", "unit")},
        "image": spec.get("name"),
        "bands": {band: image.report for band, image in images.items()},
        "objects": len(objects),
        "objects_found_on": FOUND_ON,
        "registration": {"reference": first.band, "shifts": shifts},
        "warnings": warnings,
        "acknowledgement": spec.get("acknowledgement"),
        "reference": spec.get("reference"),
    }
    return AdoptedBands(spec, bands, objects, segmentation, report)


def _sum(images, bad):
    """Return the inverse-variance sum of bands, its standard deviation, and the pixels without data in all bands."""
    top = weight = 0.0
    for band, image in images.items():
        w = np.where(bad[band], 0.0, 1 / image.sky_variance.astype(float))
        top, weight = top + w * image.science, weight + w
    none = weight == 0
    weight = np.where(none, 1.0, weight)
    return (top / weight).astype(np.float32), (1 / np.sqrt(weight)).astype(np.float32), none


def _shifted(band, reference, found):
    """Yield a warning where the sources of a band are shifted against those of the first."""
    if found["shift"] is None:
        return
    size, error = np.hypot(*found["shift"]), np.hypot(*found["shift_error"])
    if size - 3 * error > WCS_TOLERANCE:
        yield (
            f"the sources of band {band} are shifted by {size:.2f} pixels ({found['shift'][0]:.2f}, "
            f"{found['shift'][1]:.2f}) against those of band {reference}: register the bands"
        )
