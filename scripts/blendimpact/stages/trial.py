"""Try a plug-in on one simulated patch, without a workflow; check a study."""

import argparse
import sys
import time
from dataclasses import replace

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table
from ruamel.yaml import YAML

from ..config.study import case_settings, load_config, validate
from ..config.surveys import load_survey
from ..data.children import DEBLEND_BITS
from ..data.matching import match
from ..deblend import DEBLENDERS
from ..detect import DETECTORS
from ..errors import StudyError
from ..ladder.base import detectable, stamp_size
from ..measure.sky import estimate_sky
from ..report.figures import save
from ..report.trial import draw_children, draw_detections, draw_difference
from ..search import FINDERS
from ..sky.patches import simulate_patch
from ..sky.true_scene import TruthScene
from ..subtract import SUBTRACTORS
from .check import check_files
from .try_population import try_population

CASE, POPULATION = "two_point", "population"
TRANSIENTS = ((0.3, 0.35, 24.0), (0.65, 0.4, 25.0), (0.45, 0.7, 26.0))
"""Places, as shares of the patch, and S/N-like brightness (sky sigmas of the peak pixel) of what has changed."""


def main(arguments=None):
    """Run the command line; errors that a user can mend end it with code 1 and their text."""
    parser = argparse.ArgumentParser(prog="python -m blendimpact", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    whole = commands.add_parser("check", help="read all that a study will use, and say what was understood of it")
    whole.add_argument("--configfile", nargs="+", default=[], metavar="FILE", help="overlays, as Snakemake takes them")
    trial = commands.add_parser("try", help="run one plug-in on one simulated patch, and draw what it returned")
    trial.add_argument("kind", choices=sorted([*KINDS, POPULATION]), help="family of the plug-in")
    trial.add_argument("name", help="name under which it is registered")
    trial.add_argument(
        "--option",
        "-o",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of the plug-in, the value as YAML; may be repeated",
    )
    trial.add_argument("--out", default="trial.png", help="picture that is written (%(default)s)")
    trial.add_argument("--size", type=int, default=200, help="side of the patch in pixels (%(default)s)")
    trial.add_argument("--survey", default="lsst_y10_ideal", help="survey that it imitates (%(default)s)")
    trial.add_argument("--seed", type=int, default=1, help="another seed is another sky (%(default)s)")
    asked = parser.parse_args(arguments)
    if asked.command == "check":
        return check(asked.configfile)
    try:
        lines, figure = run(asked.kind, asked.name, options_of(asked.option), asked.size, asked.survey, asked.seed)
    except StudyError as error:
        sys.exit(str(error))
    print(*lines, sep="\n")
    save(figure, asked.out)
    print(f"picture: {asked.out}")


def check(paths):
    """Print what is understood of a study, or end with code 1 and all that is wrong."""
    try:
        print(*check_files(paths), sep="\n")
    except StudyError as error:
        sys.exit(str(error))


def options_of(texts):
    """Return {key: value} of texts ``key=value``, values read as YAML.

    Raises
    ------
    StudyError
        If a text has no ``=``.
    """
    out = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise StudyError(f"the option {text!r} has no value", "--option", f"write {key}=VALUE")
        out[key] = YAML(typ="safe").load(value)
    return out


def run(kind, name, options=None, size=200, survey="lsst_y10_ideal", seed=1):
    """Run a plug-in on a simulated patch.

    Parameters
    ----------
    kind : str
        "detector", "deblender", "finder", "subtractor" or "population".
    name : str
    options : dict, optional
        Of the plug-in.
    size : int
        Side of the patch in pixels.
    survey : str
        Name of a survey, or path of its file.
    seed : int

    Returns
    -------
    lines : list of str
        What the plug-in returned.
    figure : matplotlib.figure.Figure

    Raises
    ------
    StudyError
        If there is no such plug-in, it does not take the options, or it returned what no stage can take.
    """
    if kind == POPULATION:
        begin = time.process_time()
        lines, draw = try_population(name, options or {}, size, survey, seed)
    else:
        family, use = KINDS[kind]
        member = family.create(name, options)
        settings, patch, truth = simulated(size, survey, seed)
        begin = time.process_time()
        lines, draw = use(member, settings, patch, truth, seed)
    seconds = time.process_time() - begin
    title = f"{kind} {name}, {survey}, {size} x {size} pixels, seed {seed}"
    return [f"{title}: {seconds:.2f} CPU-s", *lines], draw(title)


def simulated(size, survey, seed):
    """Return (settings, patch, truth) of a patch of galaxies and stars made up on the spot."""
    layer = {"survey": survey, "shear": 0, "noise_pairs": False, "patch": {"size": size, "border": 30, "count": 1}}
    study = validate(load_config(overrides={"cases": {CASE: layer}}))
    settings = case_settings(study, CASE)
    tables = made_up(settings["bands"])
    patch, truth = simulate_patch(settings, 0, seed, CASE, "fiducial", load_survey(survey), tables)[0]
    return settings, patch, truth


def made_up(bands, number=4000):
    """Return tables like those that populations build: counts, sizes and colours are rough."""
    rng = np.random.default_rng(0)
    i = np.sort(28.0 + np.log10(rng.uniform(1e-4, 1, number)) / 0.33)
    size = 0.3 * 10 ** (-0.06 * (i - 24)) * np.exp(0.35 * rng.standard_normal(number))
    columns = {
        "galaxy": np.arange(number),
        "template": np.arange(number),
        "redshift": rng.uniform(0.1, 2, number),
        "origin": np.full(number, "made up"),
    }
    for k, band in enumerate(bands):
        columns[f"mag_{band}"] = i + (len(bands) - 1 - k) * rng.normal(0.4, 0.2, number)
        columns[f"bulge_fraction_{band}"] = rng.uniform(0, 0.5, number)
    for part, factor, n in (("bulge", 0.5, 4.0), ("disk", 1.0, 1.0)):
        columns |= {
            f"hlr_{part}": factor * size,
            f"q_{part}": rng.uniform(0.4, 1, number),
            f"n_{part}": np.full(number, n),
        }
    star = np.sort(rng.uniform(18, 27, 500))
    stars = Table({f"mag_{band}": star + 0.2 * (len(bands) - 1 - k) for k, band in enumerate(bands)})
    return {"hst_cosmos": Table(columns), "trilegal": stars}


def try_detector(detector, settings, patch, truth, seed):
    """Detect, and compare with the true sources that a detector should find."""
    found = detector.detect(patch, estimate_sky(patch, settings["measure"]["sky"]), truth).table
    known = truth[detectable(truth, settings["truth_snr"])]
    radius = settings["match_radius"] / patch.pixel_scale
    true_xy, found_xy = (np.c_[np.asarray(t["x"], float), np.asarray(t["y"], float)] for t in (known, found))
    pairs = match(true_xy, found_xy, radius)
    lines = [
        f"{len(found)} detections; {len(pairs)} of {len(known)} true sources with isolated S/N >= "
        f"{settings['truth_snr']:g} have one within {settings['match_radius']:g} arcsec",
        f"{len(found) - len(pairs)} detections have no such source; {(found['flag'] != 0).sum()} carry a flag",
    ]
    return lines, lambda title: draw_detections(patch, true_xy, found_xy, title)


def try_deblender(deblender, settings, patch, truth, seed):
    """Deblend on true centres, and compare the children with the exact ones."""
    sky = estimate_sky(patch, settings["measure"]["sky"])
    known = truth[detectable(truth, settings["truth_snr"]) & patch.inside(truth["x"], truth["y"])]
    centres = Table({"det_id": known["source_id"], "x": known["x"], "y": known["y"]})
    size = stamp_size(settings, patch)
    given = {"truth": truth} if getattr(deblender, "needs_truth", False) else {}
    children = deblender.deblend(patch, sky, centres, size, **given)
    scene = TruthScene(patch, truth, seed, CASE)
    numbers = [int(k) for k in centres["det_id"]]
    exact = scene.deblended(numbers, centres["x"], centres["y"], [[k] for k in numbers], size, sky)
    alone = scene.noiseless(numbers, size)
    band = list(patch.bands).index(settings["shape_band"])
    radius = settings["measure"]["aperture_diameter"] / 2 / patch.pixel_scale
    yy, xx = np.indices((size, size)) - size // 2
    flux = [(c.stamps[:, band] * (np.hypot(xx, yy) <= radius)).sum(axis=(1, 2)) for c in (children, exact, alone)]
    residual = (flux[0] - flux[1]) / flux[2]
    bits = {name: int((children.status >> bit & 1).sum()) for bit, (name, _) in DEBLEND_BITS.items()}
    set_bits = ", ".join(f"{name} {n}" for name, n in bits.items() if n)
    lines = [
        f"{len(children)} children; status bits: {set_bits or 'none'}",
        f"aperture flux minus that of the exact child over the true one, {settings['shape_band']}: median "
        f"{np.median(residual):+.3f}, NMAD {mad_std(residual):.3f} (N = {len(residual)})",
    ]
    worst = np.argsort(-np.abs(np.nan_to_num(residual)))[:3]
    return lines, lambda title: draw_children(patch, children, exact, worst, residual, title)


def pair(settings, patch, seed):
    """Return a visit with three transients, its template, and where they are (x, y in pixels)."""
    science, size = patch.bands[settings["shape_band"]], patch.shape[0]
    noise = np.random.default_rng(seed).normal(0, 0.5 * np.sqrt(science.variance))
    template = replace(
        science, science=(science.planes["MODEL"] + noise).astype(np.float32), variance=science.variance / 4
    )  # the same sky, four times the exposure
    half, places = science.psf.shape[0] // 2, []
    for x, y, height in TRANSIENTS:
        x, y = round(x * size), round(y * size)
        amplitude = height * np.sqrt(np.median(science.variance)) / science.psf.max()
        science.science[y - half : y + half + 1, x - half : x + half + 1] += (amplitude * science.psf).astype(
            np.float32
        )
        places.append((x, y))
    return science, template, np.array(places)


def try_subtractor(engine, settings, patch, truth, seed):
    """Subtract a template of the same sky from a visit with three transients; search the difference."""
    science, template, places = pair(settings, patch, seed)
    given = {"static": science.planes["MODEL"]} if getattr(engine, "needs_truth", False) else {}
    difference = engine.subtract(science, template, **given)
    return _searched(FINDERS.create("matched_filter"), difference, science, template, places)


def try_finder(finder, settings, patch, truth, seed):
    """Search the difference that ZOGY makes of a visit with three transients."""
    science, template, places = pair(settings, patch, seed)
    return _searched(finder, SUBTRACTORS.create("zogy").subtract(science, template), science, template, places)


def _searched(finder, difference, science, template, places):
    found = finder.find(difference, science.pixel_scale).table
    found_xy = np.c_[np.asarray(found["x"], float), np.asarray(found["y"], float)]
    pairs = match(places, found_xy, 1.0 / science.pixel_scale)
    pull = difference.image[difference.good] / np.sqrt(difference.variance[difference.good])
    lines = [
        f"rms of difference / noise: {mad_std(pull):.3f} (noise alone: 1)",
        f"{len(pairs)} of {len(places)} transients found, {len(found) - len(pairs)} other candidates",
    ]
    return lines, lambda title: draw_difference(science, template, difference, places, found_xy, title)


KINDS = {
    "detector": (DETECTORS, try_detector),
    "deblender": (DEBLENDERS, try_deblender),
    "finder": (FINDERS, try_finder),
    "subtractor": (SUBTRACTORS, try_subtractor),
}
