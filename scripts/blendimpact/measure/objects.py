"""From child images to a table: what measurements share, and their columns side by side."""

from functools import cache, cached_property

import numpy as np

from ..data.catalogues import table_of
from ..data.stamps import cut
from ..errors import StudyError
from . import MEASUREMENTS, photometry, shapes
from .correlated import Correlation

COMMON_COLUMNS = {
    "band": (None, "band"),
    "x": ("pix", "centre that was given, along axis 1, 0-based"),
    "y": ("pix", "centre that was given, along axis 2, 0-based"),
    "sigma_psf": ("pix", "size det(M)^(1/4) of the adaptive moments of the PSF"),
    "flux_flag": (None, "bits of blendimpact.measure.photometry.FLUX_BITS"),
    "child_status": (None, "bits of blendimpact.data.children.DEBLEND_BITS"),
}
"""Of every object, whatever is measured."""


class Objects:
    """Child images of N objects in B bands, and what several measurements need of them, made once.

    Parameters
    ----------
    children, x, y, patch, shape_band, noiseless
        See `measure_children`.
    settings : dict
        ``aperture_diameter`` in arcsec, and ``noise_correlation``: a factor, or {band: factor or NoiseModel}.

    Attributes
    ----------
    bands, images : list
        Names of the bands, and each `BandImage`.
    shape : int
        Index of the shape band.
    stamps : (B, N, S, S) array
        Sky-subtracted; pixels that are not finite are 0.
    good : (B, N) bool array
        Stamps in which all pixels were finite.
    x, y : (N,) array
        Centres in pixels of the patch.
    stamp_x, stamp_y : (N,) array
        The same in pixels of the stamp; the middle where the centre is not a number (`lost`).
    lost, unusable : (N,) bool array
        Without a centre; without that or a finite stamp in the shape band.
    scale, radius : float
        Arcsec per pixel, and the aperture's radius in pixels.
    psf_sigmas : dict of str to float
        Size of each band's PSF in pixels, from adaptive moments; ``psf_sigma``: of the shape band's.
    noiseless : bool
        Errors are not wanted: they are NaN.
    """

    def __init__(self, children, x, y, patch, settings, shape_band=None, noiseless=False):
        self.children, self.patch, self.noiseless = children, patch, noiseless
        self.bands, self.images = list(patch.bands), list(patch.bands.values())
        shape_band = self.bands[0] if shape_band is None else shape_band
        if shape_band not in self.bands:
            raise StudyError(f"the patch has no band {shape_band}", "shape_band", f"use one of {', '.join(self.bands)}")
        self.shape, self.settings = self.bands.index(shape_band), settings
        self.x, self.y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        # A centre that is not a number has an empty child; it is measured, for nothing, in its middle.
        self.lost, middle = ~(np.isfinite(self.x) & np.isfinite(self.y)), children.stamps.shape[-1] // 2
        self.stamp_x, self.stamp_y = (
            np.where(self.lost, middle, c - c0) for c, c0 in ((self.x, children.x0), (self.y, children.y0))
        )
        self.scale = self.images[self.shape].pixel_scale
        self.radius = 0.5 * settings["aperture_diameter"] / self.scale
        self.psf_sigmas = shapes.psf_sigma(patch)
        self.psf_sigma = self.psf_sigmas[shape_band]
        self.stamps = np.ascontiguousarray(np.moveaxis(children.stamps, 1, 0))
        finite = np.isfinite(self.stamps)
        self.good = finite.all(axis=(2, 3))
        if not self.good.all():
            self.stamps = np.where(finite, self.stamps, np.float32(0))
        self.unusable = self.lost | ~self.good[self.shape]
        self.variances, self.correlation, self.aperture = (
            cache(of_band) for of_band in (self._variances, self._correlation, self._aperture)
        )

    def __len__(self):
        return len(self.x)

    @property
    def reference(self):
        """Stamps of the shape band, (N, S, S)."""
        return self.stamps[self.shape]

    @cached_property
    def moments(self):
        """The `shapes.Shapes` of the shape band: failed where the object is unusable."""
        x = np.where(self.unusable, np.nan, self.stamp_x)
        return shapes.adaptive_moments(self.reference, x, self.stamp_y, 1.2 * self.psf_sigma)

    def _variances(self, k):
        """Return the variance of the stamps' pixels in band number ``k``; 0 where there is none."""
        found = cut(self.images[k].variance, self.children.x0, self.children.y0, self.stamps.shape[-1], 0)
        return np.where(np.isfinite(found) & (found > 0), found, 0)

    def _correlation(self, k):
        """Return the `Correlation` of band number ``k``, which makes errors for white noise those of its noise."""
        noise = self.settings.get("noise_correlation", 1.0)
        return Correlation(noise[self.bands[k]] if isinstance(noise, dict) else noise, self.images[k])

    def _aperture(self, k):
        """Return fluxes in the circular aperture and their errors, (N,), in band number ``k``."""
        flux, error = photometry.circular(self.stamps[k], self.variances(k), self.stamp_x, self.stamp_y, self.radius)
        error = np.full(len(self), np.nan) if self.noiseless else self.correlation(k).apertures(error, self.radius)
        return flux, error


def made(chosen):
    """Return the measurements of {name: options}, in that order."""
    return [MEASUREMENTS.create(name, options) for name, options in chosen.items()]


def columns_of(measurements):
    """Return the columns of the table of some measurements, {name: (unit, description)}.

    Raises
    ------
    StudyError
        If two of them have a column of one name.
    """
    columns = dict(COMMON_COLUMNS)
    for one in measurements:
        if twice := sorted(set(columns) & set(one.columns)):
            raise StudyError(
                f"the column {twice[0]} of the measurement {one.name} is there already",
                "measure.measurements",
                "rename it",
            )
        columns |= one.columns
    return columns


def measure_children(children, x, y, patch, measurements, settings, shape_band=None, noiseless=False):
    """Measure every child image in every band: one row per object and band, whatever happens.

    The same code measures noisy and noiseless children.

    Parameters
    ----------
    children : Children
        Stamps in the bands of the patch, in its order.
    x, y : (N,) array
        Centres of the children in pixels of the patch: apertures sit on them, moments start there.
    patch : Patch
        For the PSF, the pixel scale and the variance.
    measurements : list of Measurement
    settings : dict
        See `Objects`.
    shape_band : str, optional
        Band of shapes and of the Kron ellipses; the first by default.
    noiseless : bool
        The stamps have no noise: errors and signal-to-noise ratios are NaN.

    Returns
    -------
    astropy.table.Table
        ``det_id`` and the columns of `columns_of`; rows of a child together, bands in the order of the patch.

    Raises
    ------
    StudyError
        If the shape band is not in the patch, the aperture does not fit, or a measurement does not return what it
        declares.
    """
    return table_of(
        measure_arrays(children, x, y, patch, measurements, settings, shape_band, noiseless),
        {"det_id": (None, "number of the detection"), **columns_of(measurements)},
    )


def measure_arrays(children, x, y, patch, measurements, settings, shape_band=None, noiseless=False):
    """Return what `measure_children` does as {column: array}, without the time that a table takes to make."""
    objects = Objects(children, x, y, patch, settings, shape_band, noiseless)
    n, count = len(objects), len(objects.bands)
    flag = np.where(objects.good.T, 0, photometry.BITS.NOT_FINITE).astype(np.int32)
    columns = {}
    for one in measurements:
        with np.errstate(invalid="ignore", divide="ignore"):
            found = dict(one.measure(objects))
        flag |= np.asarray(found.pop("flux_flag", 0), dtype=np.int32)
        columns |= checked(one, found, objects)
    columns |= {
        "x": np.repeat(objects.x, count),
        "y": np.repeat(objects.y, count),
        "flux_flag": flag.ravel(),
        "sigma_psf": np.tile([objects.psf_sigmas[band] for band in objects.bands], n),
        "child_status": np.repeat(np.asarray(children.status, dtype=np.int32), count),
        "band": np.tile(np.array(objects.bands, dtype=str), n),
    }
    return {
        "det_id": np.repeat(np.asarray(children.det_id, dtype=np.int64), count),
        **{name: columns[name] for name in columns_of(measurements)},
    }


def checked(measurement, found, objects):
    """Return the columns of a measurement as flat arrays, of an object without a centre NaN.

    Raises
    ------
    StudyError
        If they are not those that it declares, or have another shape or type.
    """

    def wrong(what, remedy):
        return StudyError(f"the measurement {measurement.name} {what}", f"patch {objects.patch.index}", remedy)

    if set(found) != set(measurement.columns):
        odd = ", ".join(sorted(set(found) ^ set(measurement.columns)))
        raise wrong(f"does not return the columns that it declares: {odd}", "make `columns` and `measure` agree")
    full = len(objects), len(objects.bands)
    columns = {}
    for name, values in found.items():
        values = np.asarray(values)
        whole = values.dtype.kind in "iu"
        if values.dtype.kind not in "fiu" or values.shape not in ((full,) if whole else (full, full[:1])):
            raise wrong(
                f"returns {values.dtype} of shape {values.shape} for {name}",
                f"return numbers of shape {full}, (objects, bands), or {full[:1]} for the shape band",
            )
        if values.ndim == 1:
            values, shape = np.full(full, np.nan), values
            values[:, objects.shape] = shape
        if not whole:
            values = np.where(objects.lost[:, None], np.nan, values)
        columns[name] = values.ravel().astype(np.int32 if whole else np.float64)
    return columns
