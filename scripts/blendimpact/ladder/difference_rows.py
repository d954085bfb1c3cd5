"""What is measured on the differences of every rung: a table for each kind of row."""

from dataclasses import replace

import numpy as np
import sep

from ..data.light import surface_brightness
from ..data.psf_shift import equivalent_fwhm, unit_psf
from ..data.transient_geometry import distance_from_changes
from ..detect import DETECTORS
from ..measure.comae import split_comae
from ..measure.difference import activity, fit_points, residuals
from ..measure.trails import fit_trails, likely_angles, line_activity
from ..search.filters import forced, search
from ..search.matched_filter import is_trail, trail_length
from .differences import injected, to_nanojansky
from .rungs import FIXED, REAL, REFERENCE, SEARCHED, rungs_of

_COLUMNS = {
    "band": (None, "band"),
    "x": ("pix", "position at which it was measured, or found, along axis 1"),
    "y": ("pix", "the same along axis 2"),
    "flux_psf": (
        "nJy",
        "flux of the PSF's matched filter at that position; where the PSF is a profile this and all "
        "fitted fluxes have the light outside of its pixels",
    ),
    "flux_psf_err": ("nJy", "its standard error"),
    "snr": (None, "flux_psf over its error; of what was found the height of the best filter, with sign"),
    "x_psf": ("pix", "fitted position of a point source; NaN if the fit did not converge"),
    "y_psf": ("pix", "the same along axis 2"),
    "x_psf_err": ("pix", "its standard error"),
    "y_psf_err": ("pix", "its standard error"),
    "flux_fit": ("nJy", "flux of the point source at the fitted position"),
    "flux_fit_err": ("nJy", "its standard error"),
    "flux_ap": ("nJy", "flux in the circular aperture measure.aperture_diameter"),
    "flux_ap_err": ("nJy", "its standard error"),
    "activity": (None, "1 - the flux in that aperture of a point source of flux_psf over flux_ap: of a point source 0"),
    "activity_err": (None, "its standard error"),
    "trail_flux": (
        "nJy",
        "flux of the fitted trail: of transients that are trails, and of what a trail's filter found on a transient",
    ),
    "trail_flux_err": ("nJy", "its standard error"),
    "trail_x": ("pix", "position of its middle along axis 1"),
    "trail_y": ("pix", "the same along axis 2"),
    "trail_x_err": ("pix", "its standard error"),
    "trail_y_err": ("pix", "its standard error"),
    "trail_length": ("arcsec", "its length"),
    "trail_length_err": ("arcsec", "its standard error"),
    "trail_angle": ("rad", "its direction, counterclockwise from the x axis"),
    "trail_angle_err": ("rad", "its standard error"),
    "nucleus_flux": ("nJy", "comets: flux of the point in the fit of a point and a fading power law, a coma"),
    "nucleus_flux_err": ("nJy", "its standard error"),
    "coma_flux": ("nJy", "the coma's flux in that fit, within 3 arcsec"),
    "coma_flux_err": ("nJy", "its standard error"),
    "fit_slope": (None, "exponent of the coma's brightness in that fit"),
    "fit_slope_err": (None, "its standard error"),
    "fit_radius": ("arcsec", "where the coma has faded to 1 / e of the power law in that fit"),
    "fit_radius_err": ("arcsec", "its standard error"),
    "line_activity": (None, "asteroids, comets: as activity, of the trail that fits best in place of a point"),
    "chi2": (None, "mean of difference^2 / variance within 1 arcsec"),
    "npix": (None, "pixels in that mean"),
    "static_sb": ("mag / arcsec2", "static light of the visit, with the PSF, at the central pixel; NaN: none"),
    "length": ("arcsec", "length of the trail whose filter found it, 0: no trail"),
    "angle": ("rad", "its direction, counterclockwise from the x axis"),
    "a": ("pix", "rms along the major axis above threshold, on the template"),
    "b": ("pix", "rms along the minor axis above threshold"),
    "theta": ("rad", "direction of the major axis, counterclockwise from the x axis"),
    "area": ("arcsec2", "area inside the border that has data"),
    "alarm_sigma": ("pix", "sigma of the Gaussian PSF whose noise peaks are as dense"),
    "flag": (None, "fields: bits of subtract.base.SUBTRACTION_BITS; others: of measure.difference.MEASURE_BITS"),
}
_WHOLE = ("det_id", "npix", "flag")
_FORCED = ("flux_psf", "flux_psf_err", "snr")
_AROUND = ("chi2", "npix", "static_sb")
_PLACED = (
    "band",
    "x",
    "y",
    *_FORCED,
    *(f"{n}{end}" for end in ("", "_err") for n in ("x_psf", "y_psf", "flux_fit")),
    "flux_ap",
    "flux_ap_err",
    "activity",
    "activity_err",
    *(f"trail_{n}{end}" for n in ("flux", "x", "y", "length", "angle") for end in ("", "_err")),
    *_AROUND,
)
_COMET = {"nucleus_flux": "nucleus", "coma_flux": "coma", "fit_slope": "slope", "fit_radius": "radius"}
"""Columns, and what they are called in a fit."""
MOVING = "trail", "comet", "stamp"
"""Kinds of transients that may be asteroids or comets: a stamp is a comet's."""
TABLES = {
    name: {column: _COLUMNS[column] for column in (*columns, "flag")}
    for name, columns in {
        "transients": (*_PLACED, "line_activity", *(f"{n}{end}" for n in _COMET for end in ("", "_err"))),
        "static": ("band", "x", "y", *_FORCED, *_AROUND),
        "found": (*_PLACED, "line_activity", "length", "angle"),
        "peaks": ("band", "x", "y", *_FORCED),
        "candidates": ("band", "x", "y", "snr", "length", "angle"),
        "fields": ("band", "area", "alarm_sigma"),
        "objects": ("band", "x", "y", "flux_ap", "a", "b", "theta"),
    }.items()
}
"""Tables and their columns beside the ids. Transients and static sources are measured at their true places, what was
found where it was found; peaks are the extrema of the point's filter, candidates what the finder finds with all of its
filters; a field is the patch itself; objects are what can be seen on the template."""
RESIDUAL_RADIUS = 1.0
"""Arcsec."""
STATIC_SNR, CLEAR = 10.0, 3.0
"""Static sources: least isolated S/N, and least distance in arcsec to what changes."""
POINT_THRESHOLD = 4.0


def measure_differences(differences, detections, alone, settings, finder):
    """Yield (rung, table, rows) of all that is measured on one patch.

    Parameters
    ----------
    differences : Differences
    detections, alone : Table
        Of this patch and twin: what the finder found on the real difference, and on the transients alone.
    settings : dict
        ``measure.aperture_diameter`` (arcsec), ``match_radius`` (arcsec).
    finder : search.base.Finder

    Yields
    ------
    rung, table : str
        The table is one of `TABLES`.
    rows : dict of str to array
        ``det_id`` and the columns of the table. Where the difference has no data all is NaN.
    """
    image, truth = differences.image, differences.scene.truth
    targets = truth[injected(truth, differences.band) & (np.asarray(truth["role"]) == "target")]
    patch = differences.scene.patch
    still = static_sources(truth, patch, differences.band, image.pixel_scale)
    run = _Measure(differences, settings["measure"]["aperture_diameter"], settings["match_radius"])
    at_places = {}
    rungs = rungs_of(settings)
    for rung in (REFERENCE, *(rung for rung in rungs if rung in FIXED)):
        difference = differences.of(rung)
        if id(difference) not in at_places:  # rungs that share a difference share what is measured at true places
            still_rows = None if rung == REFERENCE else run.static(difference, still)
            at_places[id(difference)] = run.transients(difference, targets, rung == REFERENCE), still_rows
        moving, still_rows = at_places[id(difference)]
        yield rung, "transients", moving
        if rung != REFERENCE:
            yield rung, "static", still_rows
    known = {"pipeline": detections, "isolated": alone}  # these were searched before
    for rung in (rung for rung in rungs if rung in SEARCHED):
        difference = differences.of(rung)
        found = known[rung] if rung in known else finder.find(difference, image.pixel_scale).table
        found = found[patch.inside(found["x"], found["y"])]
        if rung in REAL:
            yield rung, "found", run.found(difference, found)
        yield rung, "peaks", run.peaks(difference, finder)
        yield rung, "candidates", run.candidates(found)
        yield rung, "fields", run.field(difference)
    yield "pipeline", "objects", run.objects()


def static_sources(truth, patch, band, scale):
    """Return the truth rows that do not change, can be seen, and lie inside the border away from all that does.

    That is `CLEAR` from transients and variable stars, from the lines of trails, and from the edges of comets.
    """
    changed = injected(truth, band)
    if "variable" in truth.colnames:
        changed = changed | np.asarray(truth["variable"], bool)
    x, y = (np.asarray(truth[n], float) for n in ("x", "y"))
    still = ~changed & (np.asarray(truth["snr"], float) >= STATIC_SNR) & patch.inside(x, y)
    still &= distance_from_changes(truth[changed], x, y, scale) > CLEAR
    return truth[still]


class _Measure:
    """One band of one patch; pixels become arcsec and the image's unit nJy here."""

    def __init__(self, differences, diameter, match_radius):
        self.differences, self.band = differences, differences.band
        self.patch, self.image = differences.scene.patch, differences.image
        self.scale, self.unit = self.image.pixel_scale, to_nanojansky(self.image)
        # What is fitted with the PSF of a difference, which has unit sum, is a source without what lies outside of it.
        self.total = self.unit / (float(unit_psf(self.image).sum()) or 1.0)
        self.radius, self.match_radius = diameter / 2 / self.scale, match_radius

    def _rows(self, table, number, **columns):
        """Return ``number`` rows of a table, {name: array}; what is not given is NaN, or 0 where whole numbers are."""
        names = ("det_id", *TABLES[table])
        if unknown := set(columns) - set(names):
            raise ValueError(f"the table {table} has no columns {', '.join(sorted(unknown))}")
        given = {"det_id": np.arange(1, number + 1), "band": self.band, **columns}
        types = {"band": "U14", **dict.fromkeys(_WHOLE, np.int64)}
        return {
            name: np.broadcast_to(np.asarray(given.get(name, 0 if name in _WHOLE else np.nan)), number).astype(
                types.get(name, float)
            )
            for name in names
        }

    def _photometry(self, difference, table, det_id, x, y):
        """Return rows with all that is measured at a position whatever the source is."""
        fluxes = activity(difference, x, y, self.radius)
        point = fit_points(difference, x, y)
        around = residuals(difference, x, y, RESIDUAL_RADIUS / self.scale)
        psf, error = (np.asarray(fluxes[n], float) for n in ("flux_psf", "flux_psf_err"))
        return self._rows(
            table,
            len(x),
            det_id=det_id,
            x=x,
            y=y,
            flux_psf=psf * self.total,
            flux_psf_err=error * self.total,
            snr=psf / error,
            x_psf=point["x"],
            y_psf=point["y"],
            x_psf_err=point["x_err"],
            y_psf_err=point["y_err"],
            flux_fit=point["flux"] * self.total,
            flux_fit_err=point["flux_err"] * self.total,
            flux_ap=fluxes["flux_ap"] * self.unit,
            flux_ap_err=fluxes["flux_ap_err"] * self.unit,
            activity=fluxes["activity"],
            activity_err=fluxes["activity_err"],
            chi2=around["chi2"],
            npix=around["npix"],
            static_sb=self._static_sb(x, y),
            flag=point["flag"],
        )

    def _static_sb(self, x, y):
        return surface_brightness(self.differences.static, self.image, x, y)

    def _trails(self, difference, rows, which, length, angle):
        """Fit trails to the rows ``which``; starting values in pixels and radians.

        Where ``length`` is 0 the start is a FWHM, and the angle that suits best.
        """
        if not len(which):
            return
        (x, y), known = (rows[n][which] for n in "xy"), length[which] > 0
        fwhm = equivalent_fwhm(difference.psf)
        begin = np.where(known, length[which], fwhm)
        turn = np.where(known, angle[which], likely_angles(difference, x, y, fwhm))
        fit = fit_trails(difference, x, y, begin, turn)
        point = {"flux": rows["flux_fit"][which] / self.total, "x": rows["x_psf"][which], "y": rows["y_psf"][which]}
        flux_ap = rows["flux_ap"][which] / self.unit
        rows["line_activity"][which] = line_activity(difference, x, y, flux_ap, fit, point, self.radius)
        for name, factor in (("flux", self.total), ("x", 1.0), ("y", 1.0), ("length", self.scale), ("angle", 1.0)):
            for end in ("", "_err"):
                rows[f"trail_{name}{end}"][which] = np.asarray(fit[name + end], float) * factor
        rows["flag"][which] |= np.asarray(fit["flag"], np.int64)

    def transients(self, difference, truth, noiseless=False):
        """Measure the transients at their true places; without noise there are no errors."""
        x, y = (np.asarray(truth[n], float) for n in ("x", "y"))
        rows = self._photometry(difference, "transients", np.asarray(truth["source_id"]), x, y)
        kind, length, angle = (np.asarray(truth[n]) for n in ("kind", "trail_length", "trail_angle"))
        moving = np.flatnonzero(np.isin(kind, MOVING))
        length = np.where(kind == "trail", np.nan_to_num(length), 0.0) / self.scale
        self._trails(difference, rows, moving, length, np.radians(np.nan_to_num(angle)))
        comets = moving[kind[moving] != "trail"]
        if len(comets):
            fit = split_comae(difference, x[comets], y[comets], self.scale)
            for column, name in _COMET.items():
                for end in ("", "_err"):
                    factor = self.total if column.endswith("flux") else 1.0
                    rows[f"{column}{end}"][comets] = np.asarray(fit[name + end], float) * factor
            rows["flag"][comets] |= np.asarray(fit["flag"], np.int64)
        if noiseless:  # no noise was drawn: what the fits call errors are those of `isolated`
            for name in [n for n in rows if n.endswith("_err")] + ["snr"]:
                rows[name][:] = np.nan
        return rows

    def static(self, difference, truth):
        """Measure what is left of static sources."""
        x, y = (np.asarray(truth[n], float) for n in ("x", "y"))
        around = residuals(difference, x, y, RESIDUAL_RADIUS / self.scale)
        flux = forced(difference, x, y)
        return self._rows(
            "static",
            len(x),
            det_id=np.asarray(truth["source_id"]),
            x=x,
            y=y,
            flux_psf=flux["flux"] * self.total,
            flux_psf_err=flux["flux_err"] * self.total,
            snr=flux["snr"],
            chi2=around["chi2"],
            npix=around["npix"],
            static_sb=self._static_sb(x, y),
            flag=flux["flag"],
        )

    def found(self, difference, table):
        """Measure the detections inside the border at the places they were found."""
        x, y, theta, snr = (np.asarray(table[n], float) for n in ("x", "y", "theta", "peak_snr"))
        rows = self._photometry(difference, "found", np.asarray(table["det_id"]), x, y)
        length = trail_length(table)
        self._trails(difference, rows, np.flatnonzero(self._on_moving(x, y)), length, theta)
        rows |= {"snr": snr, "length": length * self.scale, "angle": np.where(length > 0, theta, 0.0)}
        return rows

    def _on_moving(self, x, y):
        """Return which places an asteroid or comet may be at: nobody asks for the trail of a residual."""
        truth = self.differences.scene.truth
        truth = truth[injected(truth, self.band) & np.isin(np.asarray(truth["kind"]), MOVING)]
        if not len(truth):
            return np.zeros(len(x), bool)
        reach = (self.match_radius + np.nan_to_num(np.asarray(truth["trail_length"], float)) / 2) / self.scale
        away = np.hypot(np.subtract.outer(x, np.asarray(truth["x"])), np.subtract.outer(y, np.asarray(truth["y"])))
        return (away <= reach).any(axis=1)

    def peaks(self, difference, finder):
        """Return the extrema of the point filter."""
        points = search(difference, min(POINT_THRESHOLD, finder.threshold))
        points = points[self.patch.inside(points["x"], points["y"])]
        return self._rows(
            "peaks",
            len(points),
            x=points["x"],
            y=points["y"],
            snr=points["snr"],
            flux_psf=points["flux"] * self.total,
            flux_psf_err=points["flux_err"] * self.total,
            flag=points["flag"],
        )

    def candidates(self, found):
        """Return what the finder found, as it is compared with the peaks of noise."""
        return self._rows(
            "candidates",
            len(found),
            x=found["x"],
            y=found["y"],
            snr=found["peak_snr"],
            length=trail_length(found) * self.scale,
            angle=np.where(is_trail(found), found["theta"], 0.0),
        )

    def field(self, difference):
        """Return the row of the patch itself."""
        yy, xx = np.indices(difference.image.shape)
        pixels = int((self.patch.inside(xx, yy) & difference.good).sum())
        sigma = difference.alarm_sigma() if pixels else np.nan
        return self._rows("fields", 1, det_id=0, area=pixels * self.scale**2, alarm_sigma=sigma, flag=difference.status)

    def objects(self):
        """Return what can be seen on the template, if there is one: where hosts are looked for."""
        template = self.differences.epochs[1]
        if template is None:
            return self._rows("objects", 0)
        alone = replace(self.patch, bands={self.band: template}, templates={})
        found = DETECTORS.create("sep").detect(alone, {}).table
        flux = (
            sep.sum_circle(
                np.ascontiguousarray(template.science, np.float32),
                found["x"],
                found["y"],
                self.radius,
                mask=(template.mask & 1).astype(bool),
            )[0]
            if len(found)
            else np.zeros(0)
        )
        return self._rows(
            "objects",
            len(found),
            det_id=found["det_id"],
            x=found["x"],
            y=found["y"],
            a=found["a"],
            b=found["b"],
            theta=found["theta"],
            flux_ap=flux * to_nanojansky(template),
            flag=found["flag"],
        )
