"""Sufficient statistics of difference imaging, per block of sky."""

import numpy as np
import pandas as pd

from ...ladder.rungs import DIFFERENCE_ORDER, REFERENCE, SEARCHED
from ...sky.blends import ARCSEC2_PER_DEG2, false_alarm_density
from ...stats.figures_of_merit import Scores, classes, strata
from . import comets, hosts, moving, photometry
from .foms import DEPTH_EDGES, PLACES, SB_EDGES, SNR_EDGES, THRESHOLDS
from .places import (
    KEY,
    LEAST_SNR,
    MEASURED,
    NEAR,
    SKY,
    SUPERNOVAE,
    TRAILS,
    apart,
    by_rung,
    inside,
    open_share,
    strongest,
    transients,
    visit_fwhm,
)

SURE_SNR, AT_SIX = 6.0, (5.5, 6.5)
FOUND_DM = 0.75  # mag, as for artificial stars


def score(tables, settings, facts):
    """Return the `Scores` of a chunk.

    Parameters
    ----------
    tables : dict of str to Table
        ``truth``, and those of `ladder.difference_rows.TABLES`.
    settings : dict
        Of the case and scenario.
    facts : data.facts.Facts
        Of the images, of the visits among them, and of the search.
    """
    truth = tables["truth"].to_pandas()
    scale = facts.pixel_scale
    radius = settings["match_radius"] / scale
    blocks = {(patch, twin): block for patch, block, twin in facts.patches}
    rows = {name: tables[name].to_pandas() for name in MEASURED}
    for name in ("static", "fields"):
        rows[name]["block"] = [blocks[key] for key in zip(rows[name]["patch"], rows[name]["twin"])]
    injected = transients(truth, settings, facts)
    # What was found is known inside the border only: the candidate of a target at its edge may lie beyond.
    targets = injected[(injected["role"] == "target") & inside(injected, settings, radius)].reset_index(drop=True)
    objects = by_rung(rows["transients"], rows["found"], targets, radius)
    objects = _with_reference(objects)
    threshold = facts.threshold
    alone = _found(targets, rows, "isolated", radius, threshold)
    recovered = {rung: _recovered(targets, objects[objects["rung"] == rung]) for rung in DIFFERENCE_ORDER}
    sure = alone & (targets["snr"] >= SURE_SNR).to_numpy()
    found = {rung: _found(targets, rows, rung, radius, threshold) for rung in SEARCHED}
    scores = Scores(settings["case"], settings["scenario"])
    _supernovae(scores, targets, recovered, sure, found, settings["shape_band"])
    _spurious(scores, rows, injected, truth, settings, facts)
    _density(scores, truth, settings, facts)
    hosts.add(scores, rows, truth, targets, settings, facts)
    photometry.add(scores, objects, settings, facts)
    points = {rung: strongest(targets, _above(rows["peaks"], rung, threshold), radius) >= 0 for rung in SEARCHED}
    moving.add(scores, targets, objects, recovered, sure, found, points, facts)
    comets.add(scores, targets, objects, recovered, sure)
    return scores


def _with_reference(objects):
    """Return objects with the fluxes of the noiseless source alone: ``alone_psf``, ``alone_ap``."""
    names = {"flux_psf": "alone_psf", "flux_ap": "alone_ap"}
    alone = objects.loc[objects["rung"] == REFERENCE, [*KEY, *names]].rename(columns=names)
    return objects.merge(alone, on=KEY, how="left", validate="many_to_one")


def _found(targets, rows, rung, radius, threshold):
    """Return which targets have a positive candidate above the threshold: of points, for others of the whole bank."""
    points = _above(rows["peaks"], rung, threshold)
    bank = pd.concat([points, _above(rows["candidates"], rung, threshold)], ignore_index=True)
    is_point = targets["class"].isin(SUPERNOVAE).to_numpy()
    return np.where(is_point, strongest(targets, points, radius) >= 0, strongest(targets, bank, radius) >= 0)


def _above(candidates, rung, threshold):
    return candidates[(candidates["rung"] == rung) & (candidates["snr"] >= threshold)].reset_index(drop=True)


def _recovered(targets, here):
    """Return which targets have, on one rung, a flux within `FOUND_DM` of that of the noiseless source alone.

    In the filter of the point source, or in the fit of a trail. With a real search a target without a detection has no
    row, so it is lost.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        near = np.abs(2.5 * np.log10(here["flux_psf"] / here["alone_psf"])) < FOUND_DM
        line = np.abs(2.5 * np.log10(here["trail_flux"] / here["true_flux"])) < FOUND_DM
        near |= line & here["class"].isin(TRAILS)
    good = pd.MultiIndex.from_frame(here.loc[near, KEY])
    return pd.MultiIndex.from_frame(targets[KEY]).isin(good)


def _supernovae(scores, targets, recovered, sure, found, band):
    """TR-D1 and its variants."""
    point = targets["class"].isin(SUPERNOVAE).to_numpy()
    place, snr = targets["class"].to_numpy(), targets["snr"].to_numpy(float)
    kept = point & sure
    for rung, got in recovered.items():
        rows, here = targets[kept], got[kept]
        for by in (
            strata("snr", rows["snr"], SNR_EDGES),
            strata("host_sb", rows["host_sb"], SB_EDGES, whole=False),
            classes("place", rows["class"], PLACES),
        ):
            scores.add_fractions("TR-D1", rung, rows["block"], here, by)
    for rung, got in found.items():
        for population in ("all", *PLACES):
            mine = point & ((place == population) | (population == "all"))
            rows, here = targets[mine], got[mine]
            scores.add_fractions(
                "TR-D1.efficiency", rung, rows["block"], here, strata("snr", rows["snr"], SNR_EDGES), population
            )
            scores.add_curve("TR-D1.curve", rung, rows["block"], here, rows["snr"], SNR_EDGES, population)
            scores.add_curve("TR-D1.m", rung, rows["block"], here, rows[f"mag_{band}"], DEPTH_EDGES, population)
            for fom, bright in (
                ("TR-D1.bright", snr >= SURE_SNR),
                ("TR-D1.at6", (snr >= AT_SIX[0]) & (snr < AT_SIX[1])),
            ):
                scores.add_fractions(fom, rung, targets["block"], got, [("all", mine & bright)], population)
        both = [part for name in ("hosted", "hostless") for part in (got & (place == name), place == name)]
        compared = point & (snr >= LEAST_SNR) & np.isin(place, ("hosted", "hostless"))
        scores.add_sums("TR-D1.contrast", rung, targets["block"], both, [("all", compared)])


def _spurious(scores, rows, injected, truth, settings, facts):
    """TR-D2: candidates that nothing explains, and Kaiser's rate for the same difference and area."""
    changed = pd.concat([injected, _variable(truth, settings, facts)], ignore_index=True)
    per_patch = changed.groupby(SKY).indices
    levels = {"all": facts.threshold, **{f"threshold:{t:g}": t for t in THRESHOLDS}}
    share = {}
    for fom, kind in (("TR-D2", "peaks"), ("TR-D2.bank", "candidates")):
        candidates = rows[kind][np.abs(rows[kind]["snr"]) > min(levels.values())].reset_index(drop=True)
        candidates["explained"] = _explained(candidates, changed, facts.pixel_scale)
        there = candidates.groupby([*SKY, "rung"]).indices
        for field in rows["fields"].itertuples():
            key = field.patch, field.twin
            if key not in share:
                share[key] = open_share(changed.iloc[per_patch.get(key, [])], settings)
            area = field.area * share[key] / ARCSEC2_PER_DEG2
            here = candidates.iloc[there.get((*key, field.rung), [])]
            snr = here.loc[~here["explained"], "snr"].to_numpy(float)
            for stratum, level in levels.items() if kind == "peaks" else (("all", facts.threshold),):
                number = int((np.abs(snr) > level).sum())
                scores.add(fom, field.rung, field.block, [number, area], stratum=stratum)
                if kind != "peaks":
                    continue
                scores.add(
                    "TR-D2.positive", field.rung, field.block, [int((snr > level).sum()), number], stratum=stratum
                )
                if field.alarm_sigma > 0:
                    rate = 2 * false_alarm_density(level, field.alarm_sigma * facts.pixel_scale)
                    scores.add(
                        "TR-D2.kaiser",
                        field.rung,
                        field.block,
                        [rate * ARCSEC2_PER_DEG2 * area, area, 1],
                        stratum=stratum,
                    )


def _density(scores, truth, settings, facts):
    """TR-Q1."""
    static = (truth["injection_id"] < 0 if "injection_id" in truth else True) & (truth["snr"] >= settings["truth_snr"])
    number = truth[inside(truth, settings) & static].groupby("block").size()
    area = (settings["patch"]["size"] * facts.pixel_scale / 60) ** 2
    for _, block, _ in facts.patches:
        count = int(number.get(block, 0))
        scores.add("TR-Q1", REFERENCE, block, [count, area, count], "truth")


def _variable(truth, settings, facts):
    """Return the stars that vary as rows like those of `places.transients`."""
    stars = truth[truth["variable"].astype(bool)] if "variable" in truth else truth[:0]
    fwhm = visit_fwhm(stars["block"], settings, facts)
    return stars.assign(half=0.0, angle=0.0, reach=np.maximum(NEAR[0], NEAR[1] * fwhm) / facts.pixel_scale)


def _explained(candidates, changed, scale):
    """Return which candidates, or peaks, lie within the reach of something that changes, (M,) bool array.

    A trail is a line: it is explained if any part of it is.
    """
    out = np.zeros(len(candidates), bool)
    there = changed.groupby(SKY).indices
    x, y = (candidates[k].to_numpy(float) for k in ("x", "y"))
    lines = candidates if "length" in candidates else candidates.assign(length=0.0, angle=0.0)
    length, angle = (lines[k].to_numpy(float) for k in ("length", "angle"))
    for key, mine in candidates.groupby(SKY).indices.items():
        if key not in there:
            continue
        them = changed.iloc[there[key]]
        for along in np.linspace(-0.5, 0.5, 9) if length[mine].any() else (0.0,):
            step = along * length[mine] / scale
            distance = apart(them, x[mine] + step * np.cos(angle[mine]), y[mine] + step * np.sin(angle[mine]))
            out[mine] |= (distance <= them["reach"].to_numpy(float)[:, None]).any(axis=0)
    return out
