"""The PSF of a real image, and how it is measured on its stars; `given_psf` has those that are given.

The measured PSF is a pixel image whose pixels are polynomials over the field, as in PSFEx with a
pixel basis (coadds have PSFs that change where exposures begin and end); the order, and whether a
Moffat profile describes unseen stars better, is decided on stars that were held out.
"""

from dataclasses import dataclass, field

import galsim
import numpy as np
from scipy.optimize import least_squares

from ...data.psf import psf_pixels
from ...errors import StudyError
from .noise import MAD_TO_SIGMA
from .stars import field_terms, moments, select_stars

MIN_STARS = 8
STARS_PER_TERM = 8
FOLDS = 4
ORDERS = (0, 1, 2, 3)
TOLERANCE = 0.02  # a simpler model is preferred while its score is within this part of the best


@dataclass
class ImagePsf:
    """PSF of an image.

    Attributes
    ----------
    model : dict
        As in `BandImage.psf_model`: how a source is convolved with it.
    size : int
        Side of the pixel image, odd.
    scale : float
        Arcsec per pixel.
    terms : (t, k, k) array or None
        Coefficients of the pixels' polynomials over the field; None: the model holds everywhere.
    order : int
    shape : tuple of int
        (nx, ny) of the image.
    report : dict
    """

    model: dict
    size: int
    scale: float
    terms: np.ndarray = None
    order: int = 0
    shape: tuple = (1, 1)
    report: dict = field(default_factory=dict)

    def pixels(self, x, y):
        """Return the PSF at a position: (size, size) array, unit sum, centred on the central pixel."""
        if self.terms is None:
            return psf_pixels(self.model, self.scale, self.size)
        array = np.tensordot(field_terms(x, y, self.shape, self.order), self.terms, 1)
        return array / array.sum()


def fit_field(stars, shape, order):
    """Fit each pixel of the PSF by a polynomial over the field.

    The core follows the field. The wings, which a star's noise rules, are one mean over all
    stars, weighted by signal-to-noise; the two are blended between 1 and 1.5 core radii.

    Parameters
    ----------
    stars : Stars
        As `select_stars` returns them.
    shape : tuple of int
        (nx, ny).
    order : int
        Of the polynomial.

    Returns
    -------
    (terms, k, k) array
    """
    core = _fit_pixels(stars, field_terms(stars.x, stars.y, shape, order), 0.02)
    wings = np.zeros_like(core)
    wings[0] = _fit_pixels(stars, np.ones((len(stars), 1)), 0.002)[0]
    half = stars.stamps.shape[-1] // 2
    radius = np.hypot(*(np.indices(stars.stamps.shape[1:]) - half))
    share = np.clip((radius / stars.core - 1) / 0.5, 0, 1)
    return core * (1 - share) + wings * share


def _fit_pixels(stars, design, floor):
    """Fit pixels linearly.

    Those far off (5 scatters: an undetected neighbour) are replaced by the fit, twice. ``floor`` is the
    relative scatter that no model describes, so that no star rules the fit.
    """
    weight = 1 / np.sqrt(1 / stars.snr**2 + floor**2)
    values = stars.stamps.reshape(len(stars), -1).copy()
    for _ in range(3):
        terms = np.linalg.lstsq(design * weight[:, None], values * weight[:, None], rcond=None)[0]
        model = design @ terms
        residual = np.abs(values - model)
        limit = 5 * MAD_TO_SIGMA * np.median(residual, axis=0)
        values = np.where(residual > np.maximum(limit, 1e-12), model, values)
    return terms.reshape(-1, *stars.stamps.shape[1:])


def fit_moffat(pixels, scale, elliptical=False):
    """Fit a Moffat profile to a PSF image by least squares on its pixels.

    Parameters
    ----------
    pixels : (k, k) array
        Unit sum, centred.
    scale : float
        Arcsec per pixel.
    elliptical : bool
        Whether to fit its shape too.

    Returns
    -------
    dict
        ``fwhm`` (arcsec), ``beta``, and ``g1``, ``g2`` if elliptical.
    """
    size = pixels.shape[0]
    width = np.sqrt(max(moments(pixels)[0], 1.0) / 2)

    def residual(parameters):
        profile = galsim.Moffat(beta=parameters[1], fwhm=parameters[0] * scale)
        if elliptical:
            profile = profile.shear(g1=parameters[2], g2=parameters[3])
        model = profile.drawImage(nx=size, ny=size, scale=scale, dtype=float).array
        return (model / model.sum() - pixels).ravel()

    start, low, high = [2.2 * width, 3.0], [0.8, 1.3], [20 * width, 12.0]
    if elliptical:
        start, low, high = [*start, 0.0, 0.0], [*low, -0.5, -0.5], [*high, 0.5, 0.5]
    found = least_squares(residual, start, bounds=(low, high), diff_step=1e-3).x
    out = {"fwhm": float(found[0] * scale), "beta": float(found[1])}
    if elliptical:
        out.update(g1=float(found[2]), g2=float(found[3]))
    return out


def interval(values, level=0.95):
    """Return mean, the ends of its Student interval, rms about zero, and n."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    n, mean = len(values), float(values.mean())
    from scipy.stats import t as student  # slow to import

    half = float(student.ppf(0.5 + level / 2, max(n - 1, 1)) * values.std(ddof=1) / np.sqrt(n))
    return {"mean": mean, "low": mean - half, "high": mean + half, "rms": float(np.sqrt((values**2).mean())), "n": n}


def residuals(stars, psf):
    """Return dT/T, dg1, dg2 of stars against a PSF model drawn at each star's place and phase."""
    out = np.empty((len(stars), 3))
    for k in range(len(stars)):
        pixels = psf.pixels(stars.x[k], stars.y[k])
        surface = galsim.InterpolatedImage(
            galsim.Image(pixels, scale=1.0), x_interpolant="lanczos5", calculate_stepk=False, calculate_maxk=False
        )
        n = pixels.shape[0]
        drawn = surface.shift(*stars.phase[k]).drawImage(nx=n, ny=n, scale=1.0, method="no_pixel", dtype=float)
        size, g1, g2, _, _ = moments(drawn.array)
        out[k] = stars.size[k] / size - 1, stars.e1[k] - g1, stars.e2[k] - g2
    return out


def _pixel_psf(stars, shape, order, scale, size):
    return ImagePsf({"kind": "pixels"}, size, scale, fit_field(stars, shape, order), order, shape)


def _moffat_psf(stars, shape, scale, size):
    mean = fit_field(stars, shape, 0)[0]
    return ImagePsf({"kind": "moffat", **fit_moffat(mean / mean.sum(), scale)}, size, scale)


def cross_validate(stars, shape, scale, size):
    """Compare PSF models on stars that they were not made from.

    Parameters
    ----------
    stars : Stars
        As `select_stars` returns them.
    shape : tuple of int
        (nx, ny).
    scale, size : float, int
        Arcsec per pixel; side of the PSF image.

    Returns
    -------
    dict of str to dict
        By model ("moffat", "pixels0" ... by order): `interval` of dT/T, dg1, dg2 over all stars, each
        held out once, and ``score`` = sqrt(<(dT/T)^2> + <dg1^2> + <dg2^2>).
    """
    makers = {"moffat": lambda s: _moffat_psf(s, shape, scale, size)}
    for order in ORDERS:
        terms = (order + 1) * (order + 2) // 2
        if order == 0 or len(stars) * (1 - 1 / FOLDS) >= STARS_PER_TERM * terms:
            makers[f"pixels{order}"] = lambda s, order=order: _pixel_psf(s, shape, order, scale, size)
    fold = np.empty(len(stars), int)
    fold[np.argsort(-stars.snr, kind="stable")] = np.arange(len(stars)) % FOLDS
    out = {}
    for name, make in makers.items():
        found = np.full((len(stars), 3), np.nan)
        for k in range(FOLDS):
            found[fold == k] = residuals(stars[fold == k], make(stars[fold != k]))
        out[name] = {key: interval(found[:, i]) for i, key in enumerate(("dT_over_T", "dg1", "dg2"))}
        out[name]["score"] = float(np.sqrt(sum(part["rms"] ** 2 for part in out[name].values())))
    return out


def measure_psf(science, bad, objects, segmentation, pixel_scale, size=41, saturation=None, where=None):
    """Measure the PSF of an image on its stars.

    Parameters
    ----------
    science : (ny, nx) array
        Sky-subtracted.
    bad : (ny, nx) bool array
        Pixels without data.
    objects, segmentation
        From `find_objects`.
    pixel_scale : float
        Arcsec.
    size : int
        Side of the PSF image, odd.
    saturation : float, optional
        Pixel value; brighter than half of it no star is used.
    where : str, optional
        For messages.

    Returns
    -------
    ImagePsf
        Its ``report`` has: star counts by cut, Moffat fit, held-out residuals of each model with 95 %
        intervals and the one chosen, mean shape, variation over the quadrants, curve of growth, wings.

    Raises
    ------
    StudyError
        If there are fewer than 8 fit stars.
    """
    shape = science.shape[::-1]
    stars = select_stars(science, bad, objects, segmentation, size, saturation)
    if len(stars) < MIN_STARS:
        raise StudyError(
            f"only {len(stars)} stars are fit to measure the PSF on (cuts: {stars.counts})",
            where,
            "give psf.kind: moffat with its fwhm and beta, or psf.kind: file",
        )
    compared = cross_validate(stars, shape, pixel_scale, size)
    best = min(model["score"] for model in compared.values())
    chosen = next(name for name, model in compared.items() if model["score"] <= (1 + TOLERANCE) * best)
    if chosen == "moffat":
        psf = _moffat_psf(stars, shape, pixel_scale, size)
    else:
        psf = _pixel_psf(stars, shape, int(chosen.removeprefix("pixels")), pixel_scale, size)
    mean = fit_field(stars, shape, 0)[0]
    mean /= mean.sum()
    centre = psf.pixels(shape[0] / 2, shape[1] / 2)
    grid = [(shape[0] * (i + 0.5) / 5, shape[1] * (j + 0.5) / 5) for i in range(5) for j in range(5)]
    sizes = np.array([moments(psf.pixels(*place))[0] for place in grid])
    moffat = fit_moffat(mean, pixel_scale, elliptical=True)
    size_t, g1, g2, dx, dy = moments(mean)
    psf.report = {
        "kind": "measured",
        "chosen": chosen,
        "reason": "simplest model whose score, the held-out sqrt(<(dT/T)^2> + <dg1^2> + <dg2^2>), is within "
        f"{TOLERANCE:.0%} of the best",
        "stars": len(stars),
        "cuts": stars.counts,
        "snr_median": float(np.median(stars.snr)),
        "fwhm_arcsec": moffat["fwhm"],
        "moffat": moffat,
        "fwhm_over_field_arcsec": [float(moffat["fwhm"] * np.sqrt(s / size_t)) for s in (sizes.min(), sizes.max())],
        "size_t_pixels2": size_t,
        "g1": g1,
        "g2": g2,
        "centroid_offset_pixels": [dx, dy],
        "centroid_offset_centre_pixels": list(moments(centre)[3:]),
        "held_out": compared,
        "quadrants": _quadrants(stars, shape),
        "curve_of_growth": curve_of_growth(mean),
        "wings": wings(science, bad, segmentation, stars),
        "negative_light": float(-centre[centre < 0].sum()),
    }
    return psf


def curve_of_growth(pixels):
    """Return the share of light within circles of 1, 2, ... pixels about the centre of a PSF image."""
    half = pixels.shape[0] // 2
    radius = np.hypot(*(np.indices(pixels.shape) - half))
    return {
        "radius_pixels": list(range(1, half + 1)),
        "light": [float(pixels[radius <= r].sum()) for r in range(1, half + 1)],
    }


def wings(science, bad, segmentation, stars, reach=60, number=20):
    """Measure the light of the brightest stars beyond the PSF image, which injected sources lack.

    Parameters
    ----------
    science : (ny, nx) array
        Sky-subtracted.
    bad : (ny, nx) bool array
        Pixels without data.
    segmentation : (ny, nx) int array
        Footprints: those of other objects are left out.
    stars : Stars
        As `select_stars` returns them.
    reach : int
        Radius in pixels to which the light is followed.
    number : int
        How many stars.

    Returns
    -------
    dict
        ``light_beyond``: light between the PSF image's radius and ``reach`` over the light within
        ``reach``, median over the stars; ``error`` of it, ``stars``, ``reach_pixels``. None if no star is
        far enough from the edges.
    """
    half = stars.stamps.shape[-1] // 2
    radius = np.hypot(*(np.indices((2 * reach + 1,) * 2) - reach))
    ring = np.minimum(radius.astype(int), reach)
    shares = []
    for k in np.argsort(-stars.snr, kind="stable")[:number]:
        x, y = round(float(stars.x[k])), round(float(stars.y[k]))
        if not (reach <= x < science.shape[1] - reach and reach <= y < science.shape[0] - reach):
            continue
        box = np.s_[y - reach : y + reach + 1, x - reach : x + reach + 1]
        owner = segmentation[box]
        use = ((owner == 0) | (owner == segmentation[y, x])) & ~bad[box]
        planes = np.where(use, science[box], 0.0), use.astype(float), np.ones(use.shape)
        light, seen, area = (np.bincount(ring.ravel(), v.ravel(), reach + 1)[:reach] for v in planes)
        if (seen > 0).all():
            light = light / seen * area
            shares.append(light[half:].sum() / light.sum())
    if not shares:
        return {"light_beyond": None, "error": None, "stars": 0, "reach_pixels": reach}
    return {
        "light_beyond": float(np.median(shares)),
        "stars": len(shares),
        "reach_pixels": reach,
        "error": float(1.2533 * np.std(shares) / np.sqrt(len(shares))),
    }


def _quadrants(stars, shape):
    """Return size and shape of the stars by quadrant, relative to all."""
    out = {}
    mean = np.mean(stars.size)
    for name, right, top in (("lower_left", 0, 0), ("lower_right", 1, 0), ("upper_left", 0, 1), ("upper_right", 1, 1)):
        here = ((stars.x > shape[0] / 2) == right) & ((stars.y > shape[1] / 2) == top)
        if here.sum() >= 3:
            out[name] = {
                "dT_over_T": interval(stars.size[here] / mean - 1),
                "g1": interval(stars.e1[here]),
                "g2": interval(stars.e2[here]),
            }
    return out
