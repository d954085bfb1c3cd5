"""Objects of a real image, and the stars among them that are fit to measure a PSF on."""

from dataclasses import dataclass

import galsim
import numpy as np
import sep
from astropy.table import Table
from scipy import ndimage
from scipy.spatial import cKDTree

from ...data.significance import KERNEL_3X3, extract, smooth
from .noise import MAD_TO_SIGMA

# In sigma of the smoothed image, as deep as the study's own detector: a real source that it finds and this list
# lacks would pass for a piece of an injected galaxy, or for the galaxy itself.
THRESHOLD = 3.0
MIN_AREA = 5
KRON_FACTOR, KRON_MIN_RADIUS = 2.5, 3.5  # SExtractor's PHOT_AUTOPARAMS


def find_objects(science, rms, bad):
    """Detect and measure the objects of an image.

    Parameters
    ----------
    science : (ny, nx) array
        Sky-subtracted.
    rms : (ny, nx) array
        Noise of a pixel.
    bad : (ny, nx) bool array
        Pixels without data.

    Returns
    -------
    objects : Table
        ``number`` (value in the segmentation, from 1), ``x``, ``y``, ``a``, ``b``, ``theta``, ``npix``,
        ``flag`` (bits of SEP), ``peak``, ``flux`` and ``flux_err`` (Kron aperture as SExtractor's AUTO,
        neighbours' footprints left out; the isophotal flux where the aperture fails), ``hlr`` (pixels,
        half of that flux), ``kron`` (semi-axes of its aperture in units of ``a`` and ``b``).
    segmentation : (ny, nx) int32 array
    """
    flux, error = _smooth(science, rms, bad)
    found, segmentation, _ = extract(flux, error, THRESHOLD, MIN_AREA)
    del flux, error
    number = np.arange(1, len(found) + 1)
    x, y, a, b, theta = (found[k].astype(float) for k in ("x", "y", "a", "b", "theta"))
    lost = ~(np.isfinite(x) & np.isfinite(y))
    x, y = np.where(lost, found["xcpeak"], x), np.where(lost, found["ycpeak"], y)
    a, b = (np.maximum(np.nan_to_num(v, nan=1.0), 0.3) for v in (a, b))
    theta = np.clip(np.nan_to_num(theta), -np.pi / 2, np.pi / 2)
    data = np.ascontiguousarray(science, np.float32)
    noise = np.ascontiguousarray(rms, np.float32)
    alone = {"mask": bad, "segmap": np.ascontiguousarray(segmentation, np.int32), "seg_id": number.astype(np.int32)}
    auto, auto_err, hlr, scale = (np.full(len(found), np.nan) for _ in range(4))
    if len(found):
        kron, _ = sep.kron_radius(data, x, y, a, b, theta, 6.0, **alone)
        scale = KRON_FACTOR * np.where(np.isfinite(kron) & (kron > 0), kron, 1.0)
        scale = np.maximum(scale, KRON_MIN_RADIUS / np.sqrt(a * b))
        auto, auto_err, _ = sep.sum_ellipse(data, x, y, a, b, theta, scale, err=noise, subpix=5, **alone)
        hlr, _ = sep.flux_radius(data, x, y, 6 * a + 3, 0.5, normflux=auto, subpix=5, **alone)
    isophotal = found["flux"].astype(float)
    bad_flux = ~(np.isfinite(auto) & (auto > 0))
    objects = Table(
        {
            "number": number,
            "x": x,
            "y": y,
            "a": a,
            "b": b,
            "theta": theta,
            "npix": found["npix"].astype(int),
            "flag": found["flag"].astype(int),
            "peak": found["peak"].astype(float),
            "flux": np.where(bad_flux, isophotal, auto),
            "flux_err": np.where(np.isfinite(auto_err) & (auto_err > 0), auto_err, np.nan),
            "hlr": np.where(np.isfinite(hlr) & (hlr > 0), hlr, np.nan),
            "kron": scale,
        }
    )
    return objects, segmentation


def kron_fluxes(science, rms, bad, objects, segmentation):
    """Return (flux, error) of objects in another band, in the Kron apertures that they were found with.

    Parameters
    ----------
    science, rms : (ny, nx) array
    bad : (ny, nx) bool array
    objects, segmentation
        As `find_objects` returns them. Fluxes may be negative; where an aperture fails the flux is that of the
        footprint, and the error is not known.
    """
    if not len(objects):
        return np.empty(0), np.empty(0)
    number = np.asarray(objects["number"], np.int32)
    flux, error, _ = sep.sum_ellipse(
        np.ascontiguousarray(science, np.float32),
        *(np.asarray(objects[key], float) for key in ("x", "y", "a", "b", "theta", "kron")),
        err=np.ascontiguousarray(rms, np.float32),
        subpix=5,
        mask=bad,
        segmap=np.ascontiguousarray(segmentation, np.int32),
        seg_id=number,
    )
    inside = ndimage.sum_labels(np.where(bad, 0.0, science), segmentation, number)
    return np.where(np.isfinite(flux), flux, inside), np.where(np.isfinite(error) & (error > 0), error, np.nan)


def _smooth(science, rms, bad, rows=512):
    """Smooth by strips of rows, which keeps the memory of a large image low; same as in one piece."""
    flux, error = np.empty(science.shape, np.float32), np.empty(science.shape, np.float32)
    for first in range(0, science.shape[0], rows):
        low = max(first - 1, 0)
        here = np.s_[low : first + rows + 1]
        variance = np.where(bad[here], np.inf, np.square(rms[here], dtype=float))
        strip = smooth(np.where(bad[here], 0.0, science[here]), variance, KERNEL_3X3)
        inner = np.s_[first - low : first - low + rows]
        flux[first : first + rows], error[first : first + rows] = (part[inner] for part in strip)
    return flux, error


@dataclass
class Stars:
    """Stamps of stars, resampled so that each is centred on its central pixel.

    Attributes
    ----------
    x, y : (n,) array
        Centroids (adaptive moments) in the image, pixels.
    snr : (n,) array
    size, e1, e2 : (n,) array
        T = 2 sigma^2 (pixels squared) and reduced shear (g1, g2) of the adaptive moments, measured
        on the pixels as they are.
    phase : (n, 2) array
        Centroid relative to the central pixel of the stamp before resampling, (x, y).
    stamps : (n, k, k) array
        Centred, sky-subtracted, unit flux within ``core`` pixels of the centre.
    core : float
        Radius of the normalisation, pixels.
    counts : dict of str to int
        How many candidates were left after each cut.
    """

    x: np.ndarray
    y: np.ndarray
    snr: np.ndarray
    size: np.ndarray
    e1: np.ndarray
    e2: np.ndarray
    phase: np.ndarray
    stamps: np.ndarray
    core: float
    counts: dict

    def __len__(self):
        return len(self.x)

    def __getitem__(self, rows):
        return Stars(
            self.x[rows],
            self.y[rows],
            self.snr[rows],
            self.size[rows],
            self.e1[rows],
            self.e2[rows],
            self.phase[rows],
            self.stamps[rows],
            self.core,
            self.counts,
        )


def moments(array):
    """Return (T, g1, g2, x, y) of the adaptive moments about the array's centre, NaN if they fail.

    T = 2 sigma^2 in pixels squared, sigma^4 the determinant of the moments; g in the
    reduced-shear convention, |g| = (1 - q) / (1 + q).
    """
    image = galsim.Image(np.ascontiguousarray(array, dtype=float))
    try:
        found = galsim.hsm.FindAdaptiveMom(image, strict=False)
    except galsim.GalSimError:
        return (np.nan,) * 5
    if found.moments_status != 0:
        return (np.nan,) * 5
    shape = found.observed_shape
    centre = found.moments_centroid - image.true_center
    return 2 * found.moments_sigma**2, shape.g1, shape.g2, centre.x, centre.y


def stellar_locus(hlr, width=0.12):
    """Return centre and scatter of the stellar sequence in half-light radius.

    Stars all have one size, galaxies do not: the sequence is the fullest window of relative
    ``width``, then refined by clipping at 3 scatters.
    """
    hlr = np.sort(hlr[np.isfinite(hlr) & (hlr > 0)])
    number = np.searchsorted(hlr, hlr * (1 + width), side="right") - np.arange(len(hlr))
    first = int(np.argmax(number))
    near = hlr[first : first + number[first]]
    for _ in range(10):
        centre = float(np.median(near))
        scatter = max(MAD_TO_SIGMA * float(np.median(np.abs(near - centre))), 0.01 * centre)
        near = hlr[np.abs(hlr - centre) < 3 * scatter]
    return centre, scatter


def select_stars(science, bad, objects, segmentation, size=41, saturation=None, snr_min=100.0):
    """Find stars fit for measuring the PSF, and cut them out.

    Bright but well below saturation, whole, isolated, on the stellar sequence in half-light radius,
    and not outliers in second moments among the stars around them.

    Parameters
    ----------
    science : (ny, nx) array
        Sky-subtracted.
    bad : (ny, nx) bool array
        Pixels without data.
    objects, segmentation
        As `find_objects` returns them.
    size : int
        Side of the stamps in pixels, odd.
    saturation : float, optional
        Stars whose peak is over half of it are left out.
    snr_min : float
        Least flux over its error.

    Returns
    -------
    Stars
    """
    half, pad = size // 2, 10
    ny, nx = science.shape
    x, y, flux = (np.asarray(objects[k], float) for k in ("x", "y", "flux"))
    snr = flux / np.asarray(objects["flux_err"], float)
    counts = {"objects": len(objects)}
    reach = half + pad + 1
    use = (snr > snr_min) & (x > reach) & (x < nx - 1 - reach) & (y > reach) & (y < ny - 1 - reach)
    counts["bright"] = int(use.sum())
    use &= (np.asarray(objects["flag"]) & (sep.OBJ_MERGED | sep.OBJ_TRUNC)) == 0
    if saturation:
        use &= np.asarray(objects["peak"]) < 0.5 * saturation
    if len(objects):
        tree = cKDTree(np.c_[x, y])
        for i in np.flatnonzero(use):
            others = [j for j in tree.query_ball_point((x[i], y[i]), 1.2 * half) if j != i]
            xi, yi = round(float(x[i])), round(float(y[i]))
            box = np.s_[yi - half : yi + half + 1, xi - half : xi + half + 1]
            use[i] = flux[others].sum() < 0.02 * flux[i] and not bad[box].any()
    counts["isolated"] = int(use.sum())
    rows = np.flatnonzero(use & np.isfinite(objects["hlr"]))
    if len(rows):
        centre, scatter = stellar_locus(np.asarray(objects["hlr"])[rows])
        rows = rows[np.abs(np.asarray(objects["hlr"])[rows] - centre) < 3 * scatter]
        counts["locus_hlr_pixels"], counts["locus_scatter_pixels"] = centre, scatter
    counts["on_locus"] = len(rows)
    core = 2.5 * counts.get("locus_hlr_pixels", 1.0)
    stars = _cut_out(science, bad, objects, segmentation, rows, snr, half, pad, core, counts)
    keep = _not_outliers(stars, (nx, ny))
    counts["used"] = int(keep.sum())
    return stars[keep]


def _cut_out(science, bad, objects, segmentation, rows, snr, half, pad, core, counts):
    outer = half + pad
    yy, xx = np.indices((2 * outer + 1, 2 * outer + 1)) - outer
    radius = np.hypot(yy, xx)
    ring = radius > half + 2
    near = np.s_[pad : pad + 2 * half + 1, pad : pad + 2 * half + 1]
    kept, shapes, stamps = [], [], []
    for i in rows:
        xi, yi = round(float(objects["x"][i])), round(float(objects["y"][i]))
        box = np.s_[yi - outer : yi + outer + 1, xi - outer : xi + outer + 1]
        stamp, owner = science[box].astype(float), segmentation[box]
        foreign = ((owner > 0) & (owner != objects["number"][i])) | bad[box]
        blank = ring & ~foreign
        stamp -= np.median(stamp[blank]) if blank.sum() > 50 else 0.0
        # a neighbour's pixels are filled from the opposite side of the star
        partner = stamp[::-1, ::-1]
        stamp = np.where(foreign, np.where(foreign[::-1, ::-1], 0.0, partner), stamp)
        measured = moments(stamp[near])
        if not np.isfinite(measured).all() or np.hypot(measured[3], measured[4]) > 2:
            continue
        surface = galsim.InterpolatedImage(
            galsim.Image(stamp, scale=1.0), x_interpolant="lanczos5", calculate_stepk=False, calculate_maxk=False
        )
        centred = (
            surface.shift(-measured[3], -measured[4])
            .drawImage(nx=2 * half + 1, ny=2 * half + 1, scale=1.0, method="no_pixel", dtype=float)
            .array
        )
        kept.append((xi + measured[3], yi + measured[4], snr[i]))
        shapes.append(measured)
        stamps.append(centred / centred[radius[near] <= core].sum())
    kept, shapes = np.array(kept).reshape(-1, 3), np.array(shapes).reshape(-1, 5)
    return Stars(
        *kept.T, *shapes[:, :3].T, shapes[:, 3:], np.array(stamps).reshape(-1, 2 * half + 1, 2 * half + 1), core, counts
    )


def _not_outliers(stars, shape, nsigma=3.5):
    """Return which stars have second moments like those of the stars around them."""
    keep = np.ones(len(stars), bool)
    order = 2 if len(stars) >= 60 else 1 if len(stars) >= 20 else 0
    design = field_terms(stars.x, stars.y, shape, order)
    for _ in range(8):
        before = keep.copy()
        for value in (np.log(stars.size), stars.e1, stars.e2):
            if keep.sum() < design.shape[1] + 3:
                return keep
            fit = np.linalg.lstsq(design[before], value[before], rcond=None)[0]
            residual = value - design @ fit
            spread = MAD_TO_SIGMA * np.median(np.abs(residual[before]))
            # adaptive moments of a star have an error of about 2 over its signal-to-noise ratio
            keep &= np.abs(residual) < nsigma * np.hypot(spread, 2 / stars.snr)
        if (keep == before).all():
            break
    return keep


def field_terms(x, y, shape, order):
    """Return the (n, terms) design matrix of a polynomial over an image of ``shape`` (nx, ny)."""
    u, v = 2 * np.asarray(x, float) / shape[0] - 1, 2 * np.asarray(y, float) / shape[1] - 1
    return np.stack([u**i * v**j for i in range(order + 1) for j in range(order + 1 - i)], axis=-1)
