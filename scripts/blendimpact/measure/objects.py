"""From child images to a table: fluxes in every band, the shape in one."""

import numpy as np

from ..data.catalogues import table_of
from ..data.stamps import cut
from ..errors import StudyError
from . import photometry, shapes
from .correlated import Correlation
from .psf import PsfWindow
from .weighted import weighted_moments

MEASURE_OPTIONS = {
    "aperture_diameter": (2.0, "diameter of the circular aperture in arcsec"),
    "kron": ({"factor": 2.5, "min_radius": None},
             "Kron radii in the aperture's radius; least radius in arcsec, by default 3.5 PSF sigmas"),
    "shape": ({"min_snr": 0.0, "max_shift": 1.0, "weight_fwhm": 1.2},
              "least signal-to-noise ratio, and largest distance in arcsec of centroid and centre, "
              "of a shape without a flag; full width in arcsec of the weight of weighted moments"),
    "psf": (False, "whether point sources are fitted (measure.psf): their columns are NaN otherwise"),
    "noise_correlation": (1.0, "factor by which pixel correlations raise the error of a sum of pixels, or {band: "
                               "factor or NoiseModel}"),
    "sky": ({}, "options of measure.sky"),
}

MEASUREMENT_COLUMNS = {
    "band": (None, "band"),
    "x": ("pix", "centre that was given, along axis 1, 0-based"),
    "y": ("pix", "centre that was given, along axis 2, 0-based"),
    "flux_ap": (None, "flux in the circular aperture, unit of the image"),
    "flux_ap_err": (None, "its standard deviation from the pixels' variance; NaN for noiseless images"),
    "snr_ap": (None, "flux_ap / flux_ap_err"),
    "flux_kron": (None, "flux in the Kron ellipse of the shape band, unit of the image"),
    "flux_kron_err": (None, "its standard deviation; NaN for noiseless images"),
    "flux_psf": (None, "flux of a point source at x_psf, y_psf, unit of the image; NaN unless measure.psf is true"),
    "flux_psf_err": (None, "its standard deviation 1 / sqrt(sum P^2 / V); NaN for noiseless images"),
    "x_psf": ("pix", "position of the point source along axis 1, 0-based, fitted in the shape band"),
    "y_psf": ("pix", "the same along axis 2"),
    "x_psf_err": ("pix", "standard deviation of x_psf, the flux free; NaN for noiseless images"),
    "y_psf_err": ("pix", "standard deviation of y_psf"),
    "chi2_psf": (None, "reduced chi^2 of the point source in its disc; NaN for noiseless images"),
    "kron_radius": ("arcsec", "geometric mean of the Kron aperture's semi-axes"),
    "flux_flag": (None, "bits of blendimpact.measure.photometry.FLUX_BITS"),
    "e1": (None, "shape of the adaptive moments, |e| = (1-q)/(1+q), along the x axis; not PSF-corrected"),
    "e2": (None, "the same along the diagonal y = x"),
    "sigma": ("pix", "size det(M)^(1/4) of the adaptive moments"),
    "sigma_psf": ("pix", "the same of the PSF"),
    "resolution": (None, "1 - sigma_psf^2 / sigma^2"),
    "snr_shape": (None, "signal-to-noise ratio of the adaptive Gaussian; 1 / snr_shape is the standard "
                        "deviation of e1 and of e2 for a Gaussian source in white noise"),
    "rho4": (None, "weighted radial fourth moment: 2 for a Gaussian"),
    "flux_hsm": (None, "flux of the adaptive Gaussian, unit of the image"),
    "x_hsm": ("pix", "adaptive centroid along axis 1, 0-based"),
    "y_hsm": ("pix", "adaptive centroid along axis 2, 0-based"),
    "e1_weighted": (None, "shape under a fixed Gaussian weight on the given centre, along the x axis, "
                          "regularised: blendimpact.measure.weighted; not PSF-corrected"),
    "e2_weighted": (None, "the same along the diagonal y = x"),
    "snr_weighted": (None, "signal-to-noise ratio of the flux under that weight"),
    "shape_flag": (None, "bits of blendimpact.measure.shapes.SHAPE_BITS"),
    "child_status": (None, "bits of blendimpact.data.children.DEBLEND_BITS"),
}
_SHAPE_COLUMNS = ("e1", "e2", "sigma", "resolution", "snr_shape", "rho4", "flux_hsm", "x_hsm", "y_hsm")


def measure_options(options=None):
    """Return ``options`` over the defaults of `MEASURE_OPTIONS`, groups key by key.

    Raises
    ------
    StudyError
        If an option is unknown.
    """
    merged = {}
    given = dict(options or {})
    for name, (default, _) in MEASURE_OPTIONS.items():
        value = given.pop(name, None)
        if isinstance(default, dict):
            value = dict(value or {})
            if name != "sky":
                given.update({f"{name}.{key}": None for key in set(value) - set(default)})
            merged[name] = default | value
        else:
            merged[name] = default if value is None else value
    if given:
        raise StudyError(f"unknown option {', '.join(sorted(given))}", "measure",
                         f"its options are: {', '.join(MEASURE_OPTIONS)}")
    return merged


def measure_children(children, x, y, patch, options=None, shape_band=None, noiseless=False):
    """Measure every child image in every band: one row per object and band, whatever happens.

    The same code measures noisy and noiseless children. Nothing is fitted and nothing is raised
    for one bad object: what could not be measured is NaN and has a flag.

    Parameters
    ----------
    children : Children
        Stamps in the bands of the patch, in its order.
    x, y : (N,) array
        Centres of the children in pixels of the patch: apertures sit on them, moments start there.
    patch : Patch
        For the PSF, the pixel scale and the variance.
    options : dict, optional
        See `MEASURE_OPTIONS`.
    shape_band : str, optional
        Band of shapes and of the Kron ellipses; the first by default.
    noiseless : bool
        The stamps have no noise: errors and signal-to-noise ratios are NaN.

    Returns
    -------
    astropy.table.Table
        ``det_id`` and the columns of `MEASUREMENT_COLUMNS`; rows of a child together, bands in the
        order of the patch. Shape columns are filled in the shape band's rows.

    Raises
    ------
    StudyError
        If an option is unknown, the shape band is not in the patch or the aperture does not fit.
    """
    return table_of(measure_arrays(children, x, y, patch, options, shape_band, noiseless),
                    {"det_id": (None, "number of the detection"), **MEASUREMENT_COLUMNS})


def measure_arrays(children, x, y, patch, options=None, shape_band=None, noiseless=False):
    """Return what `measure_children` does as {column: array}, without the time that a table takes to make."""
    options = measure_options(options)
    bands = list(patch.bands)
    shape_band = bands[0] if shape_band is None else shape_band
    if shape_band not in bands:
        raise StudyError(f"the patch has no band {shape_band}", "shape_band",
                         f"use one of {', '.join(bands)}")
    n, size = len(children.det_id), children.stamps.shape[-1]
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    # A centre that is not a number has an empty child; it is measured, for nothing, in its middle.
    lost = ~(np.isfinite(x) & np.isfinite(y))
    xs, ys = (np.where(lost, size // 2, c - c0) for c, c0 in ((x, children.x0), (y, children.y0)))
    image = patch.bands[shape_band]
    scale, psf = image.pixel_scale, shapes.psf_sigma(patch)
    stamps = np.ascontiguousarray(np.moveaxis(children.stamps, 1, 0))
    finite = np.isfinite(stamps)
    good = finite.all(axis=(2, 3))
    if not good.all():
        stamps = np.where(finite, stamps, np.float32(0))

    columns = {name: np.full((n, len(bands)), np.nan) for name in MEASUREMENT_COLUMNS}
    reference = stamps[bands.index(shape_band)]
    with np.errstate(invalid="ignore", divide="ignore"):
        unusable = lost | ~good[bands.index(shape_band)]
        found = shapes.adaptive_moments(reference, np.where(unusable, np.nan, xs), ys, 1.2 * psf[shape_band])
        ellipse, kron_flag = _kron(reference, xs, ys, found, psf[shape_band], options["kron"], scale)
        for b, band in enumerate(bands):
            _fluxes(columns, b, stamps[b], patch.bands[band], children, (xs, ys), ellipse, options, noiseless)
            columns["flux_flag"][:, b] = (_flux_flags(x, y, ellipse, options, patch) | kron_flag
                                          | np.where(good[b], 0, photometry.BITS.NOT_FINITE))
        _shape_columns(columns, bands.index(shape_band), found, children, x, y, psf[shape_band], scale,
                       options, noiseless, patch.shape)
        _weighted_columns(columns, bands.index(shape_band), reference, np.where(unusable, np.nan, xs), ys, image,
                          options)
        if options["psf"]:
            _psf_columns(columns, bands.index(shape_band), stamps, xs, ys, unusable, children, patch, options,
                         noiseless)
    if lost.any():
        for name in ("flux_ap", "flux_ap_err", "snr_ap", "flux_kron", "flux_kron_err", "flux_psf", "flux_psf_err",
                     "chi2_psf"):
            columns[name][lost] = np.nan

    columns["x"][:], columns["y"][:] = x[:, None], y[:, None]
    columns["sigma_psf"][:] = [psf[band] for band in bands]
    columns["child_status"][:] = np.asarray(children.status)[:, None]
    arrays = {"det_id": np.repeat(np.asarray(children.det_id, dtype=np.int64), len(bands))}
    for name, values in columns.items():
        integer = name in ("flux_flag", "shape_flag", "child_status")
        arrays[name] = (np.tile(np.array(bands, dtype=str), n) if name == "band"
                        else values.ravel().astype(np.int32 if integer else np.float64))
    return arrays


def _kron(stamps, xs, ys, found, psf_sigma, options, scale):
    least = None if options["min_radius"] is None else options["min_radius"] / scale
    usable = (found.flag == 0) & (found.flux > 0) & (found.sigma > 0.5 * psf_sigma)
    a, b, theta, flag = photometry.kron_ellipses(
        stamps, xs, ys, np.where(usable, found.sigma, np.nan), found.g1, found.g2, psf_sigma,
        options["factor"], least)
    return (a, b, theta), flag


def _fluxes(columns, b, stamps, image, children, centres, ellipse, options, noiseless):
    size, radius = stamps.shape[-1], 0.5 * options["aperture_diameter"] / image.pixel_scale
    variances = cut(image.variance, children.x0, children.y0, size, 0)
    variances = np.where(np.isfinite(variances) & (variances > 0), variances, 0)
    for name, (flux, error) in (
            ("flux_ap", photometry.circular(stamps, variances, *centres, radius)),
            ("flux_kron", photometry.elliptical(stamps, variances, *centres, *ellipse))):
        columns[name][:, b] = flux
        if not noiseless:
            wide = radius if name == "flux_ap" else np.sqrt(ellipse[0] * ellipse[1])
            columns[f"{name}_err"][:, b] = _correlation(options, image).apertures(error, wide)
    columns["snr_ap"][:, b] = columns["flux_ap"][:, b] / columns["flux_ap_err"][:, b]
    columns["kron_radius"][:, b] = np.sqrt(ellipse[0] * ellipse[1]) * image.pixel_scale


def _correlation(options, image):
    noise = options["noise_correlation"]
    return Correlation(noise[image.band] if isinstance(noise, dict) else noise, image)


def _flux_flags(x, y, ellipse, options, patch):
    radius = 0.5 * options["aperture_diameter"] / next(iter(patch.bands.values())).pixel_scale
    flag = np.where(photometry.reaches_outside(x, y, radius, radius, 0.0, patch.shape),
                    photometry.BITS.APERTURE_EDGE, 0)
    outside = photometry.reaches_outside(x, y, *ellipse, patch.shape)
    return flag | np.where(outside, photometry.BITS.KRON_EDGE, 0)


def _psf_columns(columns, b, stamps, xs, ys, unusable, children, patch, options, noiseless):
    """Fit a point source: its position in band ``b``, and fluxes of all bands at that position."""
    bits, images = photometry.BITS, list(patch.bands.values())
    windows = [PsfWindow(s, image, children.x0, children.y0) for s, image in zip(stamps, images)]
    fit = windows[b].fit(xs, ys)
    columns["flux_flag"][:] = columns["flux_flag"].astype(np.int32) | np.where(
        fit.left, bits.PSF_LEFT, np.where(fit.failed | unusable, bits.PSF_NOT_CONVERGED, 0))[:, None]
    found = ~(fit.left | fit.failed | unusable)
    _, *errors = _correlation(options, images[b]).point_sources(windows[b], fit.flux_err, fit.x_err, fit.y_err)
    for name, origin, error in (("x", children.x0, errors[0]), ("y", children.y0, errors[1])):
        columns[f"{name}_psf"][:, b] = np.where(found, getattr(fit, name) + origin, np.nan)
        if not noiseless:
            columns[f"{name}_psf_err"][:, b] = np.where(found, error, np.nan)
    for k, window in enumerate(windows):
        flux, error, chi2 = (fit.flux, fit.flux_err, fit.chi2) if k == b else window.fluxes(fit.x, fit.y)
        columns["flux_psf"][:, k] = flux
        if not noiseless:
            columns["flux_psf_err"][:, k] = _correlation(options, images[k]).point_sources(window, error)[0]
            columns["chi2_psf"][:, k] = chi2
        partial = window.pixels < window.disc
        columns["flux_flag"][:, k] = columns["flux_flag"][:, k].astype(np.int32) | np.where(partial, bits.PSF_EDGE, 0)


def _weighted_columns(columns, b, stamps, xs, ys, image, options):
    sigma = options["shape"]["weight_fwhm"] / image.pixel_scale / (2 * np.sqrt(2 * np.log(2)))
    good = image.variance[np.isfinite(image.variance) & (image.variance > 0)]
    # The faint end of the variance is that of empty sky.
    noise = float(np.sqrt(np.quantile(good, 0.1))) if good.size else 1.0
    e1, e2, flux, error = weighted_moments(stamps, xs, ys, sigma, noise)
    columns["e1_weighted"][:, b], columns["e2_weighted"][:, b] = e1, e2
    columns["snr_weighted"][:, b] = flux / error


def _shape_columns(columns, b, found, children, x, y, psf_sigma, scale, options, noiseless, shape):
    size, bits = children.stamps.shape[-1], shapes.BITS
    radius = 0.5 * options["aperture_diameter"] / scale
    noise = columns["flux_ap_err"][:, b] / np.sqrt(np.pi * radius**2)  # per pixel, correlations included
    snr = found.flux / (2 * np.sqrt(np.pi) * found.sigma * noise)
    x_hsm, y_hsm = found.x + children.x0, found.y + children.y0
    for name, values in zip(_SHAPE_COLUMNS, (found.g1, found.g2, found.sigma,
                                             1 - psf_sigma**2 / found.sigma**2, snr, found.rho4,
                                             found.flux, x_hsm, y_hsm)):
        columns[name][:, b] = values
    reach = 3 * found.sigma
    outside = photometry.reaches_outside(x_hsm, y_hsm, reach, reach, 0.0, shape)
    outside |= photometry.reaches_outside(found.x, found.y, reach, reach, 0.0, (size, size))
    conditions = {
        bits.CENTROID_SHIFT: np.hypot(x_hsm - x, y_hsm - y) * scale > options["shape"]["max_shift"],
        bits.SMALL: found.sigma < 0.5 * psf_sigma,
        bits.NEGATIVE: found.flux <= 0,
        bits.EDGE: outside & np.isfinite(found.sigma),
        bits.LOW_SNR: snr < options["shape"]["min_snr"],
    }
    flag = found.flag.copy()
    for bit, condition in conditions.items():
        flag |= np.where(condition, bit, 0).astype(np.int32)
    columns["shape_flag"][:] = bits.NOT_MEASURED
    columns["shape_flag"][:, b] = flag
