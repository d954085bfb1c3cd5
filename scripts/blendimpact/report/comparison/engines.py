"""Engines of difference imaging side by side: what is measured, the figures of merit and their sums per block."""

import numpy as np
from astropy.table import Table, vstack

from ...data import catalogues
from ...data.light import surface_brightness
from ...data.psf_shift import equivalent_fwhm, unit_psf
from ...data.transient_geometry import distance_from_changes
from ...measure.difference import residuals
from ...search.filters import forced, search
from ...sky.blends import false_alarm_density
from ...stats.figures_of_merit import FigureOfMerit as F
from ...stats.figures_of_merit import Scores, parts, strata
from ...stats.histogram_statistics import Median, Nmad
from ...stats.histograms import residual_edges
from ...stats.statistic import Deviation, Fraction, Rate, Ratio
from ...subtract.base import SUBTRACTION_BITS

ENGINE_COLUMNS = {
    "case": (None, "science case"),
    "scenario": (None, "scenario of the case"),
    "engine": (None, "engine of the subtraction"),
    "patch": (None, "number of the patch: the block that is resampled"),
    "kind": (
        None,
        "target: a point-like transient; static: what has not changed; peak: extremum of the matched filter "
        "where nothing has changed; field: the patch itself",
    ),
    "id": (None, "source_id; number of a peak"),
    "group": (None, "target: hosted (supernovae on and in galaxies) or hostless"),
    "x": ("pix", "position along axis 1"),
    "y": ("pix", "position along axis 2"),
    "sb": ("mag / arcsec2", "static light of the visit, with the PSF, at that pixel; NaN: none"),
    "flux": ("nJy", "forced PSF flux"),
    "flux_err": ("nJy", "its standard error"),
    "flux_alone": ("nJy", "target: the same of the transient alone, without noise"),
    "err_exact": ("nJy", "target: error of the forced flux where the static light is taken away exactly"),
    "snr": (None, "peak: signal-to-noise ratio of the matched filter, with sign"),
    "chi2": (None, "mean of difference^2 / variance in a disc of 1 arcsec"),
    "npix": (None, "pixels in that mean; field: pixels searched"),
    "area": ("arcsec2", "field: area searched: with data, inside the border, away from what has changed"),
    "alarm_sigma": ("pix", "field: sigma of the Gaussian PSF whose noise has as dense peaks"),
    "status": (None, "field: bits of blendimpact.subtract.base.SUBTRACTION_BITS"),
}
_TEXTS, _WHOLE = ("case", "scenario", "engine", "kind", "group"), ("patch", "id", "npix", "status")
POINTS = ("supernova", "nuclear", "hostless")
RADIUS = 1.0
"""Arcsec: disc of the residuals."""
AWAY = 2.0
"""Arcsec, or two FWHM of the visit if that is more, from what has changed within which no peak counts as spurious."""
PEAKS, SPURIOUS = 4.0, (4.0, 5.0)
SB_EDGES = (15.0, 20.0, 21.0, 22.0, 22.5, 23.0, 23.5, 24.0, 26.0)
"""AB mag / arcsec2, of the static light of a visit at the centre of a source."""
CHI2_EDGES = tuple(np.concatenate([np.linspace(0, 4, 401), np.geomspace(4, 1e6, 401)[1:]]))
RESIDUAL_EDGES = tuple(residual_edges(limit=5.0, scale=0.02, n_bins=401))
PULL_EDGES = tuple(np.linspace(-20, 20, 802))
BRIGHT = 10.0
"""S/N of a transient alone from which its relative flux bias is quoted."""


def _f(name, title, definition, kind, unit="1", **more):
    return F(name, "deblending", title, definition, unit, kind, **more)


def _spurious(level):
    return (
        _f(
            f"spurious{level:g}",
            f"spurious peaks beyond {level:g} sigma",
            f"peaks of either sign beyond {level:g} sigma of the point filter per area, {AWAY:g} arcsec or more "
            "(or two FWHM) from all that has changed",
            Rate(),
            "deg-2",
        ),
        _f(
            f"alarms{level:g}",
            f"spurious peaks beyond {level:g} sigma over noise",
            f"peaks of either sign beyond {level:g} sigma over those that Kaiser's rate expects of the noise of the "
            "same differences",
            Rate(),
        ),
    )


FIGURES_OF_MERIT = (
    _f(
        "chi2.median",
        "residual chi2 of static sources, median",
        f"median over static sources with S/N of 10 or more "
        f"alone of the mean of difference^2 / variance within {RADIUS:g} arcsec; noise has 1",
        Median(CHI2_EDGES),
        stored_as="chi2",
    ),
    _f(
        "chi2.mean",
        "residual chi2 of static sources, mean",
        "mean of difference^2 / variance over all pixels in those discs: the brightest sources decide",
        Ratio(),
    ),
    *_spurious(4.0),
    *_spurious(5.0),
    _f(
        "bias",
        "flux of transients, bias",
        f"median of (F - F_alone) / F_alone, forced PSF fluxes at true positions, "
        f"S/N of {BRIGHT:g} or more alone; F_alone: the transient without noise on an empty sky",
        Median(RESIDUAL_EDGES),
    ),
    _f("pull.mean", "pull of the flux, mean", "mean of (F - F_alone) / error", Ratio()),
    _f(
        "pull.width",
        "pull of the flux, width",
        "standard deviation of (F - F_alone) / error: outliers decide",
        Deviation(),
    ),
    _f(
        "pull.nmad",
        "pull of the flux, middle",
        "normalised median absolute deviation of (F - F_alone) / error: of the many",
        Nmad(PULL_EDGES),
    ),
    _f(
        "lost_snr",
        "S/N lost",
        "mean of 1 - error of the exact subtraction / error: what noise of the template and the "
        "filter cost; the light lost is in the bias",
        Ratio(),
    ),
    _f("failed", "failed measurements", "fraction of transients and static sources without a forced flux", Fraction()),
    *(
        _f(f"status.{name}", f"status {name}", f"fraction of differences with this bit: {text}", Fraction())
        for name, text in SUBTRACTION_BITS.values()
    ),
)


def measure(difference, alone, exact, scene, settings, engine):
    """Measure one engine on one band of one patch.

    Parameters
    ----------
    difference : Difference
        The engine's.
    alone, exact : Difference
        The transients alone without noise; the visit minus its exact static light.
    scene : dict
        ``targets``, ``static``, ``changed`` (rows of the truth: what is measured, and every change), ``patch``,
        ``image`` (BandImage of the visit), ``light`` ((ny, nx) static light), ``unit`` (nJy of its unit).
    settings : dict
        ``case``, ``scenario``.
    engine : str

    Returns
    -------
    Table
        Columns `ENGINE_COLUMNS`.
    """
    patch, image, unit = scene["patch"], scene["image"], scene["unit"]
    scale = image.pixel_scale
    about = {"case": settings["case"], "scenario": settings["scenario"], "engine": engine, "patch": patch.index}
    parts = []
    for kind in ("target", "static"):
        rows = scene["targets" if kind == "target" else "static"]
        x, y = (np.asarray(rows[name], float) for name in ("x", "y"))
        flux, around = forced(difference, x, y), residuals(difference, x, y, RADIUS / scale)
        more = {}
        if kind == "target":
            more = {
                "flux_alone": forced(alone, x, y)["flux"] * unit,
                "err_exact": forced(exact, x, y)["flux_err"] * unit,
                "group": np.where(np.asarray(rows["transient"]) == "hostless", "hostless", "hosted"),
            }
        parts.append(
            _rows(
                len(x),
                about,
                kind=kind,
                id=rows["source_id"],
                x=x,
                y=y,
                flux=flux["flux"] * unit,
                flux_err=flux["flux_err"] * unit,
                chi2=around["chi2"],
                npix=around["npix"],
                sb=surface_brightness(scene["light"], image, x, y),
                **more,
            )
        )
    searched = patch.inside(*np.indices(difference.image.shape)[::-1]) & difference.good
    searched &= ~near_changes(scene["changed"], searched.shape, scale, scale * equivalent_fwhm(unit_psf(image)))
    found = search(difference, PEAKS)  # on simulated sky, whose noise is as the images say
    i, j = (
        np.clip(np.rint(np.asarray(found[n], float)).astype(int), 0, s - 1)
        for n, s in (("x", searched.shape[1]), ("y", searched.shape[0]))
    )
    found = found[searched[j, i]]
    parts.append(
        _rows(
            len(found),
            about,
            kind="peak",
            id=np.arange(1, len(found) + 1),
            x=found["x"],
            y=found["y"],
            snr=found["snr"],
            sb=surface_brightness(scene["light"], image, found["x"], found["y"]),
        )
    )
    pixels = int(searched.sum())
    parts.append(
        _rows(
            1,
            about,
            kind="field",
            area=pixels * scale**2,
            npix=pixels,
            status=difference.status,
            alarm_sigma=difference.alarm_sigma() if pixels else np.nan,
        )
    )
    return catalogues.describe(vstack(parts, join_type="exact", metadata_conflicts="silent"), ENGINE_COLUMNS)


def _rows(number, about, **columns):
    out = {}
    for name in ENGINE_COLUMNS:
        blank = "" if name in _TEXTS else 0 if name in _WHOLE else np.nan
        value = np.asarray(columns.get(name, about.get(name, blank)))
        kind = "U32" if name in _TEXTS else np.int64 if name in _WHOLE else float
        out[name] = np.broadcast_to(value, number).astype(kind)
    return Table(out)


def near_changes(changed, shape, scale, fwhm):
    """Return (ny, nx) bool: the pixels near what has changed.

    Near is within `AWAY`, or two ``fwhm`` (arcsec) if that is more: of a point, of the line of a trail, of the edge
    of a comet's coma or tail.
    """
    yy, xx = np.indices(shape)
    return distance_from_changes(changed, xx, yy, scale) <= max(AWAY, 2 * fwhm)


def score(rows, engines, case, scenario):
    """Return the `Scores` of measured engines; the rung of a score is the engine's name.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns `ENGINE_COLUMNS`, all engines and chunks.
    engines : sequence of str
    case, scenario : str

    Returns
    -------
    Scores
        Populations: "static sources", with strata of surface brightness; "hosted", "hostless" and "transients";
        "differences".
    """
    scores = Scores(case, scenario)
    for engine in engines:
        mine = rows[rows["engine"] == engine]
        _static(scores, engine, mine[mine["kind"] == "static"])
        targets = mine[mine["kind"] == "target"]
        for group in ("hosted", "hostless", "transients"):
            _targets(scores, engine, group, targets if group == "transients" else targets[targets["group"] == group])
        for block, here in mine.groupby("patch"):
            _field(scores, engine, block, here[here["kind"] == "peak"], here[here["kind"] == "field"])
    return scores


def _static(scores, engine, rows):
    scores.add_fractions(
        "failed", engine, rows["patch"], ~np.isfinite(rows["flux"].to_numpy(float)), population="static sources"
    )
    rows = rows[np.isfinite(rows["chi2"].to_numpy(float))]
    chi2, npix = (rows[name].to_numpy(float) for name in ("chi2", "npix"))
    by = list(strata("sb", rows["sb"], SB_EDGES))
    scores.add_histogram("chi2", engine, rows["patch"], chi2, CHI2_EDGES, by, "static sources")
    scores.add_sums("chi2.mean", engine, rows["patch"], [chi2 * npix, npix], by, "static sources")


def _targets(scores, engine, group, rows):
    block = rows["patch"]
    flux, error, alone, exact = (rows[n].to_numpy(float) for n in ("flux", "flux_err", "flux_alone", "err_exact"))
    good = np.isfinite(flux) & (error > 0)
    scores.add_fractions("failed", engine, block, ~good, population=group)
    with np.errstate(invalid="ignore", divide="ignore"):
        bias, pull, lost = flux / alone - 1, (flux - alone) / error, 1 - exact / error
        bright = good & (alone / exact >= BRIGHT)
    scores.add_histogram("bias", engine, block, bias, RESIDUAL_EDGES, [("all", bright)], group)
    scores.add_histogram("pull.nmad", engine, block, pull, PULL_EDGES, [("all", good)], group)
    for _, patch, here in parts(block):  # also where none is good
        p, known = pull[here][good[here]], lost[here][good[here] & np.isfinite(lost[here])]
        scores.add("pull.mean", engine, patch, [p.sum(), len(p)], group)
        scores.add("pull.width", engine, patch, [len(p), p.sum(), (p**2).sum()], group)
        scores.add("lost_snr", engine, patch, [known.sum(), len(known)], group)


def _field(scores, engine, block, peaks, field):
    if not len(field):
        return
    area, pixels, sigma, status = (field[n].to_numpy()[0] for n in ("area", "npix", "alarm_sigma", "status"))
    height = np.abs(peaks["snr"].to_numpy(float))
    for name, bit in ((name, 1 << number) for number, (name, _) in SUBTRACTION_BITS.items()):
        scores.add(f"status.{name}", engine, block, [int(status) & bit > 0, 1], "differences")
    if not area > 0:
        return
    for level in SPURIOUS:
        count = np.sum(height > level)
        expected = 2 * pixels * false_alarm_density(level, sigma)
        scores.add(f"spurious{level:g}", engine, block, [count, area / 3600**2], "differences")
        scores.add(f"alarms{level:g}", engine, block, [count, expected], "differences")
