"""From the figures of merit of all cases to the board."""

import os

from astropy.stats import poisson_conf_interval
from scipy.stats import norm

from ..cases.crowded_fields.external import bright_scatter, roll_off
from ..config.requirements import load_board, load_requirements
from ..config.settings import FIDUCIAL, case_settings, searcher, separator, skies
from ..config.study import search_threshold
from ..config.surveys import load_survey
from ..data import catalogues
from ..data.provenance import read_meta
from ..ladder.aggregate import FOM_COLUMNS
from ..report.board_figure import write_board
from ..report.cells import matrix_cells, write_cells
from ..report.external import external_checks, load_external, measured_values
from ..report.page import write_page
from ..sky.blends import count_false_alarms, false_alarm_density
from ..stats.intervals import CONFIDENCE
from ..stats.streams import stream
from .figures import figure_list
from .foms import ABSENT, no_foms

COMPARISON_PAGE = "comparison/page/comparison.html"  # in the study's folder; another rule makes it
COMPARISON = (
    ("comparison/page/frontier.png", "deblenders: accuracy against cost", "Scatter of the aperture flux of blended "
     "sources against CPU time per source, on the skies of the comparison."),
    ("comparison/page/blendedness.png", "deblenders: flux against blendedness", "Scatter and bias of the aperture flux "
     "of each deblender against blendedness, true centres."),
)
NOISE_PIXELS = 5e7  # of noise alone: about 1400 peaks above 4 sigma, 20 above 5
NOISE_SIGMA, NOISE_SCALE = 1.8, 0.263  # DMTN-006: PSF in DECam pixels, arcsec


def run(config, tables, foms, foms_csv, html, figure, pdf, json, csv, parquet, checks, checks_csv, meta=None):
    """Stack the figures of merit of all cases and write the board.

    Parameters
    ----------
    config : dict
        The checked configuration.
    tables : list of path-like
        Figures of merit of each case, from `blendimpact.stages.foms.run`.
    foms, foms_csv, html, figure, pdf, json, csv, parquet, checks, checks_csv : path-like
        Outputs. ``figure`` and ``pdf`` share their stem.
    meta : dict, optional
        Provenance of the tables.
    """
    stem = os.path.splitext(json)[0]
    if {os.path.splitext(path)[0] for path in (figure, pdf, csv, parquet)} != {stem}:
        raise ValueError("the files of the board share their stem")
    all_foms, scored, missing = read_foms(tables)
    catalogues.write(all_foms, foms, meta)
    write_csv(all_foms, foms_csv)
    board = board_of(config, missing)
    cells = matrix_cells(all_foms, board, load_requirements(requirement_year(config)))
    write_cells(cells, stem, meta)
    title = "Impact of source blending on LSST science"
    subtitle = describe_study(config, all_foms)
    write_board(cells, board, stem, title, subtitle)
    published = load_external()
    found = measured_values(all_foms, published, extra_values(config, all_foms), conditions(config))
    table = external_checks(found, published)
    catalogues.write(table, checks, meta)
    write_csv(table, checks_csv)
    folder = os.path.dirname(html)
    compared = COMPARISON if skies(config) else ()
    write_page(html, cells, board, all_foms, table, {"name": config["study"], "title": title,
                                                     "subtitle": subtitle}, image=figure,
               figures=[{"path": os.path.join(folder, path), "title": name, "caption": caption}
                        for path, name, caption in (*compared, *figure_list(scored))],
               links=[(os.path.join(folder, COMPARISON_PAGE), "Deblenders side by side")] if compared else [],
               provenance=read_meta(all_foms.meta | (meta or {})),
               downloads=[(pdf, "the board, for a slide (PDF)"), (json, "its cells (JSON)"),
                          (foms_csv, "all figures of merit (CSV)"),
                          (checks_csv, "comparison with published values (CSV)")])


def read_foms(paths):
    """Return the stacked tables of all cases, the cases of which there are scores, and {case: reason} of the absent.

    Cases are told apart by the path, ``.../<case>/foms.parquet``.
    """
    tables = {path.replace(os.sep, "/").split("/")[-2]: catalogues.read(path, FOM_COLUMNS)
              for path in sorted(map(str, paths))}
    missing = {case: table.meta[ABSENT] for case, table in tables.items() if ABSENT in table.meta}
    stacked = catalogues.stack(tables.values()) if tables else no_foms()
    stacked.meta.clear()  # what was said of one case is not true of all
    return stacked, {case for case, table in tables.items() if len(table) or case not in missing}, missing


def board_of(config, missing):
    """Return the rows of the board; a case that is not enabled or has no image says so."""
    board = load_board()
    for row in board:
        block = config["cases"].get(row["case"])
        if row["case"] in missing:
            row["not_built"] = missing[row["case"]]
        elif not row.get("not_built") and (block is None or not block.get("enabled", True)):
            row["not_built"] = "the case is not enabled in this study's configuration"
    return board


def requirement_year(config):
    """Return the survey year whose requirements apply: that of the simulated cases' surveys."""
    surveys = {c["survey"] for c in config["cases"].values() if c.get("enabled", True) and c.get("survey")}
    return min((load_survey(s).year or "Y10" for s in surveys), key=lambda y: y == "Y10", default="Y10")


def write_csv(table, path):
    """Write a table as CSV, complete or not at all."""
    table.write(f"{path}.part", format="ascii.csv", overwrite=True)
    os.replace(f"{path}.part", path)


def describe_study(config, foms):
    """Return one line: name of the study, sky and sample sizes."""
    texts = []
    for case, block in config["cases"].items():
        rows = foms[(foms["case"] == case) & (foms["scenario"] == FIDUCIAL)] if len(foms) else []
        if len(rows):
            settings = case_settings(config, case)
            side = settings["patch"]["size"] * settings["pixel_scale"] / 60
            blocks = int(max(rows["n_blocks"]))
            texts.append(f"{case}: {blocks} patches of {side ** 2:.2f} arcmin² "
                         f"({block.get('survey') or block.get('image')}), {separation(settings)}")
    return f"study {config['study']}, seed {config['seed']}. " + "; ".join(texts)


def separation(settings):
    """Return what parts the light of a case, in words."""
    return f"{'subtractor' if settings.get('subtractor') else 'deblender'} {separator(settings)}"


def conditions(config):
    """Return the run's conditions by case, as the external checks name them."""
    out = {}
    for case in config["cases"]:
        settings = case_settings(config, case)
        if settings["sky"] != "simulate":
            continue
        survey = load_survey(settings["survey"])
        reference = survey.bands[settings["shape_band"]]
        out[case] = {"match": f"{settings['match_radius']:g} arcsec", "engine": settings.get("subtractor") or "none",
                     "survey": settings["survey"], "bands": ", ".join(settings["bands"]),
                     "positions": settings["population"]["positions"]["kind"],
                     "band": settings["shape_band"], "depth": f"{reference.depth_5sigma:.1f}",
                     "seeing": f"{reference.fwhm:.2f} arcsec in {settings['shape_band']}",
                     "detector": searcher(settings), "deblender": separator(settings),
                     "threshold": f"{search_threshold(config, settings):g} sigma",
                     "density": f"counts times {settings['population']['galaxies']['density']:g}"}
    return out


def extra_values(config, foms):
    """Return what the external checks need beside the figures of merit, by the checks' keys."""
    area = 1 / NOISE_SCALE ** 2 * 3600.0 ** 2  # pixels per deg2
    counts, searched = count_false_alarms([5.0, 4.0], NOISE_SIGMA, NOISE_PIXELS,
                                          stream(config["seed"], "false alarms"))
    out = {}
    for name, threshold, count in zip(("false_alarms", "false_alarms_4"), (5.0, 4.0), counts):
        low, high = poisson_conf_interval(count, "frequentist-confidence", sigma=norm.ppf(0.5 + CONFIDENCE / 2))
        scale = area / searched
        out[name] = {"value": count * scale, "ci_low": low * scale, "ci_high": high * scale, "n": int(count),
                     "reference": float(false_alarm_density(threshold, NOISE_SIGMA)) * area}
    out["false_alarms"].pop("reference")  # held against the published number
    rows = foms[(foms["kind"] == "value") & (foms["scenario"] == FIDUCIAL)] if len(foms) else []
    known = conditions(config)
    for case in config["cases"] if len(foms) else ():
        settings = case_settings(config, case)
        if settings["sky"] != "simulate":
            continue
        survey = load_survey(settings["survey"])
        for row in (r for r in rows if r["case"] == case and r["fom"] == "WL-Q1"):
            band = str(row["stratum"]).partition(":")[2]
            out[f"depth_{case}_{band}"] = {
                **{k: row[k] for k in ("value", "ci_low", "ci_high", "n")},
                "reference": survey.bands[band].depth_5sigma,
                "conditions": {"band": band, "survey": settings["survey"]}}
        for key, found in (("crowding_roll_off", roll_off(foms, case)),
                           ("isolated_star_scatter", bright_scatter(foms, case))):
            if found:
                given = found.pop("conditions")
                out[key] = {**found, "conditions": {**known.get(case, {}), **given}}
        pairs = {str(r["fom"]): r for r in rows if r["case"] == case and str(r["fom"]).startswith("WL-N4")}
        if len(pairs) == 2 and settings["population"]["positions"]["kind"] == "random":
            out["poisson_pairs"] = {**{k: pairs["WL-N4"][k] for k in ("value", "ci_low", "ci_high", "n")},
                                    "reference": float(pairs["WL-N4.formula"]["value"])}
    return out
