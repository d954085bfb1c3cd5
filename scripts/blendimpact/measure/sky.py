"""The sky, as a pipeline estimates it: a mesh of clipped means beside the objects."""

import numpy as np
from scipy.interpolate import NearestNDInterpolator, RectBivariateSpline
from scipy.ndimage import distance_transform_edt, median_filter

from ..config.measure import SkyEstimate
from ..data.significance import BAD, coadd, extract, kernel_pixels, smooth
from ..errors import StudyError

SKY_OPTIONS = SkyEstimate().plain()
"""Options with their defaults."""
PASSES = 2  # times that objects are masked and the mesh is made again; a third changes 0.002 sigma
CLIP = 3.0  # standard deviations
LEAST_FREE = 0.1  # share of a cell's pixels; at LSST's ten-year depth objects cover two thirds of the sky


def sky_options(options=None):
    """Return ``options`` over the defaults of `SKY_OPTIONS`.

    Raises
    ------
    StudyError
        If an option is unknown.
    """
    unknown = sorted(set(options or {}) - set(SKY_OPTIONS))
    if unknown:
        raise StudyError(
            f"unknown option {', '.join(unknown)}", "measure.sky", f"its options are: {', '.join(SKY_OPTIONS)}"
        )
    return {**SKY_OPTIONS, **(options or {})}


def known_sky(patch):
    """Return the sky of a patch whose sky is known: zeros by band."""
    return {band: np.zeros(patch.shape, dtype=np.float32) for band in patch.bands}


def estimate_sky(patch, options=None):
    """Estimate the sky of each band.

    The first mesh is made of all pixels. Then, twice: connected pixels above the
    threshold on the PSF-smoothed detection image of all bands, grown by ``grow``, are masked as
    objects, and each band's mesh is made anew beside them. A cell's value is the clipped mean of
    its free pixels (LSST's MEANCLIP); cells with too few take the nearest cell's; the mesh is
    median-filtered, interpolated with a spline between the cells' centres and constant outside of
    them. Should no cell have enough free pixels (the heart of a globular cluster), the mask is
    not grown, and if that is not enough either, left out.

    Light below the threshold and the outskirts of objects raise the estimate: that is an effect
    to measure, not one to remove.

    Parameters
    ----------
    patch : Patch
        Science, mask, PSF and variance of every band.
    options : dict, optional
        Those of `config.measure.SkyEstimate`.

    Returns
    -------
    dict of str to (ny, nx) float32 array
        Sky by band, in the band's unit.
    """
    options = sky_options(options)
    sky = known_sky(patch)
    if options["known"]:
        return sky
    nothing = np.zeros(patch.shape, dtype=bool)
    masks = [nothing]
    for step in range(1 + PASSES):
        if step:
            objects = object_mask(patch, sky, options | {"grow": 0.0})
            masks = [_grow(objects, patch, options), objects, nothing]
        sky = {band: _mesh(image, masks, options) for band, image in patch.bands.items()}
    return sky


def object_mask(patch, sky, options=None):
    """Return (ny, nx) bool: pixels that belong to an object or lie within ``grow`` of one."""
    options = sky_options(options)
    flux, error = smooth(*coadd(patch, sky), kernel_pixels("psf", patch))
    _, segmentation, _ = extract(
        flux, error, options["threshold"], options["min_area"], nthresh=1, contrast=1.0, clean=False
    )
    return _grow(segmentation > 0, patch, options)


def _grow(objects, patch, options):
    reach = options["grow"] / patch.pixel_scale
    if reach <= 0 or not objects.any():
        return objects
    return distance_transform_edt(~objects) <= reach


def _mesh(image, masks, options):
    """Return one band's sky with the first of the masks that leaves a cell."""
    science = np.asarray(image.science, dtype=np.float64)
    bad = ((image.mask & BAD) != 0) | ~np.isfinite(science)
    ny, nx = science.shape
    cell = options["mesh"] / image.pixel_scale
    y_edges, x_edges = (np.linspace(0, n, max(1, round(n / cell)) + 1).astype(int) for n in (ny, nx))
    for objects in masks:
        free = ~(bad | objects)
        values = np.full((len(y_edges) - 1, len(x_edges) - 1), np.nan)
        for j, k in np.ndindex(values.shape):
            box = slice(*y_edges[j : j + 2]), slice(*x_edges[k : k + 2])
            pixels = science[box][free[box]]
            if pixels.size > LEAST_FREE * science[box].size:
                values[j, k] = _clipped_mean(pixels)
        if np.isfinite(values).any():
            return _interpolate(values, y_edges, x_edges, int(options["filter"]))
    return np.zeros((ny, nx), dtype=np.float32)  # no cell has data


def _clipped_mean(values):
    """Return the mean of what lies within `CLIP` standard deviations of it, cut until nothing more falls out.

    That of scipy.stats.sigmaclip, which takes most of a second to import.
    """
    while True:
        mean, reach = values.mean(), CLIP * values.std()
        kept = values[(values >= mean - reach) & (values <= mean + reach)]
        if kept.size == values.size:
            return mean
        values = kept


def _interpolate(values, y_edges, x_edges, width):
    known = np.isfinite(values)
    if not known.all():
        values = NearestNDInterpolator(np.argwhere(known), values[known])(*np.indices(values.shape))
    if width > 1:
        values = median_filter(values, size=width, mode="nearest")
    # A spline needs two centres along each axis; one cell is a constant.
    repeat = [2 if n == 1 else 1 for n in values.shape]
    values = np.repeat(np.repeat(values, repeat[0], 0), repeat[1], 1)
    y, x = (0.5 * (e[1:] + e[:-1]) - 0.5 if len(e) > 2 else np.array([0.0, 1.0]) for e in (y_edges, x_edges))
    spline = RectBivariateSpline(y, x, values, kx=min(3, len(y) - 1), ky=min(3, len(x) - 1))
    return spline(np.clip(np.arange(y_edges[-1]), y[0], y[-1]), np.clip(np.arange(x_edges[-1]), x[0], x[-1])).astype(
        np.float32
    )
