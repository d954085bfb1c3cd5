"""Values of crowded fields that need several scenarios, for its external checks."""

import math

import numpy as np

from ...data.catalogues import rows_of

ROLL_OFF = (2e5, 5e5)  # stars per deg2: DMTN-077
BRIGHT = ("magnitude:14-16", "magnitude:16-18", "magnitude:18-20")
LEAST = 50  # stars behind a scatter that is quoted
SCATTERS = (  # figure of merit, mag per unit, what it is
    ("CF-M1.repeat", 1e-3, "repeat visits of the stars, which differ in noise and sub-pixel pointing only"),
    ("CF-M1.nmad", 1.0, "stars of known flux, one visit"),
)


def densities(foms):
    """Return the stars per deg2 (CF-Q1) of each scenario, from the sparsest."""
    rows = rows_of(foms, fom="CF-Q1", kind="value", stratum="all")
    found = {str(r["scenario"]): float(r["value"]) for r in rows if r["value"] > 0}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def roll_off(foms, ends=ROLL_OFF):
    """Return by how much m_50 of the pipeline is brighter at the denser of two densities.

    Parameters
    ----------
    foms : Table
    ends : (float, float)
        Stars per deg2.

    Returns
    -------
    dict or None
        ``value``, ``ci_low``, ``ci_high`` (mag), ``n`` and ``conditions``; None unless scenarios with an m_50 enclose
        both. Linear in the logarithm of the density between neighbouring scenarios, whose intervals are taken as
        independent.
    """
    density = densities(foms)
    rows = rows_of(foms, fom="CF-D1.m50", kind="value", term="pipeline", stratum="all")
    rows = {str(r["scenario"]): r for r in rows if np.isfinite(r["value"])}
    names = [s for s in density if s in rows]
    x = np.log10([density[s] for s in names])
    if len(names) < 2 or not (x[0] <= math.log10(ends[0]) and math.log10(ends[1]) <= x[-1]):
        return None
    # The difference is linear in the m_50 of the scenarios: these are the weights.
    weights = np.array([np.interp(np.log10(ends), x, row) for row in np.eye(len(names))]) @ [1, -1]
    value, low, high = (np.array([rows[s][k] for s in names], float) for k in ("value", "ci_low", "ci_high"))
    down = np.where(weights > 0, value - low, high - value) * weights
    up = np.where(weights > 0, high - value, value - low) * weights
    used = weights != 0
    middle = float(weights[used] @ value[used])
    n = sum(int(rows[s]["n"]) for s, u in zip(names, used) if u)
    return {
        "value": middle,
        "ci_low": middle - math.sqrt(np.sum(down[used] ** 2)),
        "ci_high": middle + math.sqrt(np.sum(up[used] ** 2)),
        "n": n,
        "conditions": {
            "density": "simulated stars to the stated limit, scenarios of "
            + ", ".join(f"{density[s]:.2g}" for s in names)
            + " per deg2"
        },
    }


def bright_scatter(foms):
    """Return the scatter (mag) of the brightest stars of the sparsest scenario as the pipeline measures them.

    Repeatability over visits where that scenario has them (CF-M1.repeat), else the scatter about the true magnitude
    (CF-M1.nmad).

    Returns
    -------
    dict or None
        ``value``, ``ci_low``, ``ci_high``, ``n`` and ``conditions``; None without bright stars.
    """
    for scenario, stars in densities(foms).items():
        for fom, unit, visits in SCATTERS:
            rows = rows_of(foms, scenario=scenario, fom=fom, kind="value", term="pipeline")
            by_stratum = {str(r["stratum"]): r for r in rows if r["n"] >= LEAST and np.isfinite(r["value"])}
            for stratum in BRIGHT:
                if stratum in by_stratum:
                    row = by_stratum[stratum]
                    return {
                        **{k: unit * float(row[k]) for k in ("value", "ci_low", "ci_high")},
                        "n": int(row["n"]),
                        "conditions": {
                            "stars": f"{stratum.replace(':', ' ')}, in a field of {stars:.2g} per deg2",
                            "visits": visits,
                        },
                    }
    return None


def derived(foms, settings, conditions):
    """Return the values of the case's external checks (`blendimpact.cases.base.ScienceCase`)."""
    found = {"crowding_roll_off": roll_off(foms), "isolated_star_scatter": bright_scatter(foms)}
    return {
        key: {**value, "conditions": {**conditions, **value["conditions"]}} for key, value in found.items() if value
    }
