"""Tables of the transients row made by hand: what its pipeline would write for a sky that can be counted."""

import numpy as np
from astropy.table import Table
from blendimpact.data.coma import coma_share
from blendimpact.data.facts import Facts
from blendimpact.ladder.difference_rows import TABLES
from blendimpact.ladder.rungs import FIXED, ORDER, REAL

LADDER = ORDER
ZERO_POINT, SCALE, SIZE = 31.4, 0.2, 300
SETTINGS = {
    "case": "transients",
    "scenario": "fiducial",
    "bands": ["r"],
    "shape_band": "r",
    "sky": "simulate",
    "patch": {"size": SIZE, "border": 20},
    "truth_snr": 5,
    "match_radius": 0.5,
}
SEARCHED = ("isolated", "merged", "undeblended", "pipeline")
ALARM_SIGMA = 2.0  # pixels


def source(transient, x, y, snr=20.0, **more):
    """Return what a test says of an injected source."""
    return {"transient": transient, "x": float(x), "y": float(y), "snr": snr, **more}


def made(
    sources,
    patches=12,
    ratio=None,
    found=None,
    noise=0.0,
    static=(),
    chi2=None,
    candidates=(),
    galaxies=(),
    objects=(),
    variable=(),
):
    """Return the truth and the tables of measurements of ``patches`` patches that all hold the same ``sources``.

    Parameters
    ----------
    sources : list of dict
        From `source`.
    ratio : callable
        ``ratio(rung, source)``: measured over true flux, of all fluxes; 1 by default.
    found : callable
        ``found(rung, source)``: whether there are candidates and a detection; by default yes.
    noise : float
        Standard deviation of the flux in units of its error, which is 1 / S/N of the flux.
    static : list of (source_id, kind, static_sb)
    chi2 : callable
        ``chi2(rung, kind, patch)``.
    candidates : list of (rung, x, y, snr)
        Beside those of the sources.
    galaxies : list of dict
        Rows of the truth: ``source_id``, ``x``, ``y``, ``hlr``, ``g1``, ``g2``.
    objects : list of (x, y, a, b, theta)
        On the template.
    variable : list of (x, y)
        Stars that vary.
    """
    rng = np.random.default_rng(2)
    ratio, found = ratio or (lambda rung, s: 1.0), found or (lambda rung, s: True)
    truth, rows = [], {name: [] for name in TABLES}
    for patch in range(patches):
        ids = {"patch": patch, "twin": "zero"}
        for galaxy in galaxies:
            truth.append(
                _truth(
                    ids,
                    "galaxy",
                    galaxy["source_id"],
                    galaxy["x"],
                    galaxy["y"],
                    100.0,
                    hlr=galaxy["hlr"],
                    g1_disk=galaxy["g1"],
                    g2_disk=galaxy["g2"],
                )
            )
        for number, (x, y) in enumerate(variable):
            truth.append({**_truth(ids, "star", 500 + number, x, y, 100.0), "variable": True})
        for number, kind, sb in static:
            truth.append(_truth(ids, kind, number, 10.0, 10.0, 100.0))
            rows["static"] += [
                {
                    **ids,
                    "rung": rung,
                    "det_id": number,
                    "npix": 78,
                    "static_sb": sb,
                    "chi2": (chi2 or (lambda *a: 1.0))(rung, kind, patch),
                }
                for rung in FIXED
            ]
        for number, one in enumerate(sources):
            kinds = dict.fromkeys(("trail", "near_earth", "beside"), "trail") | {"coma_9p": "stamp"}
            kinds |= dict.fromkeys(("comet", "comet_beside"), "comet")
            row = _truth(
                ids,
                kinds.get(one["transient"], "star"),
                1000 + number,
                one["x"],
                one["y"],
                one["snr"],
                injection_id=number,
                role="target",
                **{k: v for k, v in one.items() if k not in ("x", "y", "snr")},
            )
            truth.append(row)
            deviate = noise * rng.standard_normal()
            for rung in LADDER:
                if rung in REAL and not found(rung, one):
                    continue
                factor = ratio(rung, one) + (rung != "truth") * deviate / one["snr"]
                rows["found" if rung in REAL else "transients"].append(
                    {
                        **ids,
                        "rung": rung,
                        "det_id": number + 1 if rung in REAL else 1000 + number,
                        **_measured(row, factor, rung),
                    }
                )
            for rung in SEARCHED:
                if found(rung, one):
                    at = {"x": row["x"], "y": row["y"], "snr": max(one["snr"], 5.5), "rung": rung}
                    for name in ("peaks", "candidates"):
                        rows[name].append({**ids, **at, "det_id": number + 1})
        rows["peaks"] += [
            {**ids, "rung": rung, "x": float(x), "y": float(y), "snr": snr, "det_id": 900 + k}
            for k, (rung, x, y, snr) in enumerate(candidates)
        ]
        rows["fields"] += [
            {**ids, "rung": rung, "area": (SIZE * SCALE) ** 2, "alarm_sigma": ALARM_SIGMA} for rung in SEARCHED
        ]
        rows["objects"] += [
            {**ids, "rung": "pipeline", "det_id": k + 1, "x": float(x), "y": float(y), "a": a, "b": b, "theta": theta}
            for k, (x, y, a, b, theta) in enumerate(objects)
        ]
    return {
        "truth": Table(rows=[{**_BLANK_TRUTH, **r} for r in truth]),
        **{name: _table(name, here) for name, here in rows.items()},
    }


def _table(name, rows):
    """Return a table of measurements with all its columns; what a row does not say is NaN."""
    columns = {
        **_IDS,
        **dict.fromkeys(TABLES[name], np.nan),
        "band": "r",
        "npix": 0,
        "flag": 0,
        "length": 0.0,
        "angle": 0.0,
    }
    columns = {key: value for key, value in columns.items() if key in _IDS or key in TABLES[name]}
    table = Table(rows=[{**columns, **{k: v for k, v in row.items() if k in columns}} for row in rows or [{}]])
    return table if rows else table[:0]


def facts_for(patches=12, **more):
    """Return the `Facts` of the images of that many patches."""
    more = {"depth": {"r": ZERO_POINT - 2.5 * np.log10(50)}} | more  # where the S/N of a point is 5
    return Facts(SCALE, ZERO_POINT, {"r": 0.8}, [(p, p, "zero") for p in range(patches)], **more)


_BLANK_TRUTH = {
    "case": "transients",
    "scenario": "fiducial",
    "role": "scene",
    "redshift": 0.3,
    "variable": False,
    "injection_id": -1,
    "transient": "",
    "host_id": -1,
    "host_sb": np.nan,
    "static_mag": np.nan,
    "static_distance": 10.0,
    "nucleus_fraction": np.nan,
    "coma_radius": np.nan,
    "coma_slope": -1.0,
    "tail_fraction": np.nan,
    "tail_length": np.nan,
    "hlr": 0.0,
    "g1_bulge": np.nan,
    "g2_bulge": np.nan,
    "g1_disk": np.nan,
    "g2_disk": np.nan,
    "bulge_fraction_r": 0.0,
    "trail_length": np.nan,
    "trail_angle": np.nan,
}
_IDS = {
    "case": "transients",
    "scenario": "fiducial",
    "patch": 0,
    "twin": "zero",
    "rung": "pipeline",
    "detector": "matched_filter",
    "deblender": "alard_lupton",
    "det_id": 0,
}


def _truth(ids, kind, source_id, x, y, snr, **more):
    flux = 10.0 * snr
    return {
        **ids,
        "block": ids["patch"],
        "source_id": source_id,
        "kind": kind,
        "x": x,
        "y": y,
        "snr": snr,
        "flux_r": flux,
        "mag_r": ZERO_POINT - 2.5 * np.log10(flux),
        **more,
    }


def _measured(row, factor, rung):
    """Return the measurement of a source whose fluxes are all ``factor`` times the true ones."""
    flux, real = row["flux_r"] * factor, rung not in ("truth", *FIXED)
    out = {
        "x": row["x"],
        "y": row["y"],
        "flux_psf": flux,
        "flux_psf_err": np.nan if rung == "truth" else 10.0,
        "snr": flux / 10,
        "x_psf": row["x"] + 0.1 * (rung != "truth"),
        "y_psf": row["y"],
        "flux_ap": flux,
        "activity": 0.0,
        "line_activity": 0.0,
    }
    if row["kind"] == "comet":
        nucleus = row["nucleus_fraction"]
        out |= {
            "activity": 1 - nucleus,
            "line_activity": 1 - nucleus,
            "nucleus_flux": np.nan if real else flux * nucleus,
            "coma_flux": np.nan if real else flux * (1 - nucleus) * coma_share(3.0, row["coma_radius"], -1.0),
            "fit_slope": np.nan if real else -1.0,
        }
    if row["kind"] == "stamp":
        out |= {"line_activity": 0.8, "nucleus_flux": 0.1 * flux, "coma_flux": 0.5 * flux, "fit_slope": -0.6}
    if row["kind"] == "trail":
        out |= {"trail_flux": flux, "trail_length": row["trail_length"] * factor, "trail_angle": row["trail_angle"]}
        out |= {"trail_x": out["x_psf"], "trail_y": out["y_psf"]}
    return out
