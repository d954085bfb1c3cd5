"""One row per source, kind of centre and band: what a deblender made of it, beside the exact child and the truth."""

import numpy as np
import pandas as pd
from astropy.table import Table
from scipy.spatial import cKDTree

from ...data.catalogues import describe
from ...data.children import BITS

TRUE, FOUND = "truth", "real"
"""Kinds of centres: those of the truth detector, and of the detector under study."""
RUNGS = {TRUE: ("deblended", "oracle"), FOUND: ("pipeline", "merged")}
"""By kind of centre: the rung of the deblender, and that of the exact deblender on the same centres."""
FLUXES = ("flux_ap", "flux_kron")
SHAPES = ("e1_weighted", "e2_weighted")
GONE = BITS.FAILED | BITS.OUTSIDE

_EXACT = "of the exact child: same centre, same noise, every neighbour removed without error"
SOURCE_COLUMNS = {
    "case": (None, "science case"),
    "scenario": (None, "scenario of the case: a sky of the comparison"),
    "patch": (None, "index of the patch"),
    "block": (None, "block of sky: the unit of resampling"),
    "twin": (None, "twin of the patch"),
    "deblender": (None, "deblender"),
    "centres": (None, "truth: centres of the truth detector; real: of the detector under study"),
    "source_id": (None, "true source"),
    "det_id": (None, "centre whose child stands for the source; 0: none does"),
    "band": (None, "band"),
    "shape_band": (None, "this is the band of shapes, correlation and chi2"),
    "mag": ("mag", "true AB magnitude in the band"),
    "snr": (None, "isolated matched-filter S/N of the source in the shape band, against the sky noise"),
    "blendedness": (None, "1 - purity in the shape band"),
    "separation": ("arcsec", "to the nearest other source of the truth detector's list"),
    "flux_ratio": (None, "flux of that source over this one's, shape band"),
    "outcome": (None, "blend outcome of the source; true centres: the same, of the detector under study"),
    "flux_ap": (None, "aperture flux of the child, unit of the image"),
    "flux_ap_exact": (None, f"aperture flux {_EXACT}"),
    "flux_ap_true": (None, "aperture flux of the noiseless source alone"),
    "flux_kron": (None, "Kron flux of the child"),
    "flux_kron_exact": (None, f"Kron flux {_EXACT}"),
    "flux_kron_true": (None, "Kron flux of the noiseless source alone"),
    "flux_total": (None, "total flux of the source, as it was drawn"),
    **{
        f"{e}{suffix}": (None, f"{e}: regularised weighted moments {text}; |e| = (1-q)/(1+q), not PSF-corrected")
        for e in SHAPES
        for suffix, text in (("", "of the child"), ("_exact", _EXACT), ("_true", "of the noiseless source alone"))
    },
    "kappa": (
        None,
        "normalised correlation of the child with the source alone in the same noise, over the pixels "
        "whose noiseless light exceeds half of the sky noise (real image: the noise of the source alone is "
        "another draw, so it is below 1 for any deblender)",
    ),
    "chi2": (
        None,
        "mean squared residual over noise of the pixels without all models, in the aperture, all bands: no "
        "measure of quality; NaN if the deblender has no models",
    ),
    "child_status": (None, "bits of blendimpact.data.children.DEBLEND_BITS"),
    "failed": (None, "the deblender could not make the child, or its aperture flux is not a number"),
    "made": (None, "a child stands for the source: not so if it was missed, or a brighter source owns its detection"),
}
_TYPES = {
    **dict.fromkeys(("case", "scenario", "twin", "deblender", "centres", "band", "outcome"), str),
    **dict.fromkeys(("patch", "block", "source_id", "det_id"), np.int64),
    "child_status": np.int32,
    **dict.fromkeys(("shape_band", "failed", "made"), bool),
}


def neighbours(truth, band, cut, pixel_scale):
    """Return the distance from each source to the nearest other one of the truth detector's list, and its flux ratio.

    Parameters
    ----------
    truth : pandas.DataFrame
        Rows of one patch and twin: ``x``, ``y``, ``snr``, ``role``, ``flux_<band>``.
    band : str
    cut : float
        S/N from which a source is in the list; real context sources always are.
    pixel_scale : float

    Returns
    -------
    distance, ratio : (N,) array
        Arcsec, and that one's flux over the source's;
        inf and NaN for a source without another.
    """
    listed = np.flatnonzero((truth["snr"].to_numpy(float) >= cut) | (truth["role"] == "context").to_numpy())
    distance, ratio = np.full(len(truth), np.inf), np.full(len(truth), np.nan)
    if len(listed) < 2:
        return distance, ratio
    xy, flux = truth[["x", "y"]].to_numpy(float), truth[f"flux_{band}"].to_numpy(float)
    found, other = cKDTree(xy[listed]).query(xy, k=2)
    own = listed[other[:, 0]] == np.arange(len(truth))
    pick = np.where(own, 1, 0)
    rows = np.arange(len(truth))
    distance = found[rows, pick] * pixel_scale
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = flux[listed[other[rows, pick]]] / flux
    return distance, ratio


def source_table(truth, assignments, measurements, pixels, settings, facts, **ids):
    """Return the rows of a chunk for one deblender.

    Parameters
    ----------
    truth, assignments : Table
        Of the chunk.
    measurements : Table
        Rungs of `RUNGS` and "truth"; columns of `blendimpact.measure.objects.columns_of`, ``patch``, ``twin``,
        ``rung`` and ``det_id``.
    pixels : list of tuple
        (patch, twin, kind of centre, det_id, kappa, chi2).
    settings : dict
        ``bands``, ``shape_band``, ``truth_snr``.
    facts : data.facts.Facts
    **ids : str
        Columns that are the same in all rows.

    Returns
    -------
    Table
        Columns `SOURCE_COLUMNS`, sorted by them.
    """
    bands, main = settings["bands"], settings["shape_band"]
    place = ["patch", "twin"]
    known = truth.to_pandas().reset_index(drop=True)
    known["separation"], known["flux_ratio"] = np.inf, np.nan
    for rows in known.groupby(place).indices.values():
        near = neighbours(known.loc[rows], main, settings["truth_snr"], facts.pixel_scale)
        known.loc[rows, "separation"], known.loc[rows, "flux_ratio"] = near
    known["blendedness"] = np.clip(1 - known[f"purity_{main}"], 0, None)
    links = assignments.to_pandas()[[*place, "source_id", "det_id", "dominant", "outcome"]]
    sources = known[(known["role"] == "target") & (known["snr"] >= settings["truth_snr"])]
    sources = sources.merge(links, on=[*place, "source_id"], how="left", validate="one_to_one")
    sources["outcome"] = sources["outcome"].fillna("missed")
    own = sources["dominant"].eq(True)
    wanted = {TRUE: sources["source_id"], FOUND: sources["det_id"].where(own, 0).fillna(0).astype(np.int64)}
    found = pd.DataFrame(pixels, columns=[*place, "centres", "det_id", "kappa", "chi2"])
    by_rung = {
        rung: measurements[np.asarray(measurements["rung"]) == rung].to_pandas()
        for rung in ("truth", *(rung for pair in RUNGS.values() for rung in pair))
    }
    parts = []
    for kind, (real, exact) in RUNGS.items():
        extra = found.loc[found["centres"] == kind, [*place, "det_id", "kappa", "chi2"]]
        for band in bands:
            rows = sources[[*place, "source_id", "block", "separation", "flux_ratio", "blendedness", "outcome"]].copy()
            rows["centres"], rows["band"], rows["shape_band"] = kind, band, band == main
            rows["det_id"] = wanted[kind]
            rows["mag"], rows["snr"] = sources[f"mag_{band}"], sources[f"snr_{main}"]
            rows["flux_total"] = sources[f"flux_{band}"]
            for rung, suffix, key in (
                (real, "", "det_id"),
                (exact, "_exact", "det_id"),
                ("truth", "_true", "source_id"),
            ):
                rows = rows.merge(
                    _measured(by_rung[rung], band, suffix, key), on=[*place, key], how="left", validate="many_to_one"
                )
            rows = rows.merge(extra, on=[*place, "det_id"], how="left", validate="many_to_one")
            if band != main:
                rows[["kappa", "chi2"]] = np.nan
            parts.append(rows)
    rows = pd.concat(parts, ignore_index=True).assign(**ids)
    rows["made"] = rows["child_status"].notna()
    rows["child_status"] = rows["child_status"].astype(float).fillna(0).astype(np.int32)
    gone = (rows["child_status"] & GONE) != 0
    rows["failed"] = rows["made"] & (gone | ~np.isfinite(rows["flux_ap"]))
    # A child that could not be made is zeros: no flux, and not a flux of zero.
    rows.loc[gone, [*FLUXES, *SHAPES, "kappa", "chi2"]] = np.nan
    rows = rows.sort_values([*place, "centres", "source_id"], kind="stable")  # bands stay in their order
    table = Table({name: rows[name].to_numpy().astype(_TYPES.get(name, float)) for name in SOURCE_COLUMNS})
    return describe(table, SOURCE_COLUMNS)


def _measured(objects, band, suffix, key):
    columns = [*FLUXES, *SHAPES]
    frame = objects.loc[objects["band"] == band, ["patch", "twin", "det_id", "child_status", *columns]]
    out = frame.rename(columns={"det_id": key, **{name: f"{name}{suffix}" for name in columns}})
    return out if not suffix else out.drop(columns="child_status")
