"""The pair of docs/add-a-real-image.md, run from its files to the matrix; pairs that are refused before any job."""

import json

import numpy as np
import pytest
import sky_maker
import synthetic
from astropy.io import fits
from blendimpact.data import catalogues
from harness import run_snakemake
from pages import lay_out, write_pair

pytestmark = pytest.mark.slow
STUDY = "my_pair_study.yaml"


@pytest.fixture
def pair(tree):
    """A copy of the project with the page's files and a pair of images."""
    lay_out("docs/add-a-real-image.md", tree)
    write_pair(tree)
    return tree


def table(tree, path):
    return catalogues.read(tree / "results/my_pair/transients/fiducial" / path).to_pandas()


def test_a_pair_runs_from_its_files_to_the_matrix(pair):
    """Transients are recovered on the difference; the stars and galaxies that both images have are not on it."""
    synthetic.write_supernovae(pair / "results" / "inputs")
    done = run_snakemake(pair, "--cores", 2, "--configfile", STUDY, root=pair)
    assert done.returncode == 0, done.stdout[-6000:]
    truth = table(pair, "inject/000.truth.parquet")
    measured, static = (table(pair, f"measure/000/{name}.parquet") for name in ("transients", "static"))
    targets = truth[(truth["injection_id"] >= 0) & (truth["role"] == "target")]
    assert truth["patch"].nunique() == 9 and set(targets["transient"]) > {"supernova", "trail", "comet"}

    detections = table(pair, "detect/000.detections.parquet")
    radius = 0.5 / sky_maker.SCALE
    bright = targets[(targets["snr"] > 12) & (targets["kind"] == "star")]
    found = [near(detections, row, radius) for row in bright.itertuples()]
    assert len(found) > 8 and np.mean(found) > 0.85, (len(found), np.mean(found))
    fixed = measured[measured["rung"] == "deblended"]
    both = bright.merge(fixed, left_on=["patch", "source_id"], right_on=["patch", "det_id"], suffixes=("_true", ""))
    ratio = both["flux_psf"] / 10 ** (0.4 * (31.4 - both["mag_r"]))
    assert len(both) == len(bright) and np.median(ratio) == pytest.approx(1, abs=0.05)

    left = {rung: rows["chi2"].median() for rung, rows in static.groupby("rung")}
    assert left["deblended"] < 1.5 and left["undeblended"] > 10 * left["deblended"]
    stars = truth[(truth["role"] == "context") & (truth["snr"] > 20)]
    seen = [
        near(detections, row, radius) and not near(targets, row, 10 / sky_maker.SCALE) for row in stars.itertuples()
    ]
    assert len(seen) > 60 and np.mean(seen) < 0.05, (len(seen), np.mean(seen))

    foms = catalogues.read(pair / "results/my_pair/foms.parquet").to_pandas()
    assert set(foms["case"]) == {"transients"} and set(foms["scenario"]) == {"fiducial"}
    value = foms[(foms["kind"] == "value") & (foms["stratum"] == "all")].set_index(["fom", "term"])
    recovered = value[value["population"] == "all"].loc[("TR-D1.bright", "pipeline")]
    assert recovered["value"] > 0.8 and recovered["ci_low"] < recovered["value"] and recovered["n"] > 8
    assert {"TR-D2", "TR-M1", "MO-D1", "MO-D2", "CO-D1.lost"} <= set(foms["fom"])
    assert not {"MO-D1.dense", "CO-D1.dense"} & set(foms["fom"])  # nobody knows its galaxies
    cells = [c for c in json.loads((pair / "results/my_pair/matrix.json").read_text()) if c["case"] == "transients"]
    supernovae = [c["quantified"] for c in cells if c["subrow"] == "supernovae" and c["stage"] != "deblending"]
    assert supernovae == ["yes", "yes"]
    assert {c["verdict"] for c in cells} <= {"undetermined", "no requirement", "not quantified"}  # of nine blocks


def near(rows, place, radius):
    """Return whether any row of the same patch lies within so many pixels of a place."""
    rows = rows[rows["patch"] == place.patch]
    return bool((np.hypot(rows["x"] - place.x, rows["y"] - place.y) <= radius).any())


def cut(tree):
    spoil(tree, lambda image: image[:-4])


def move(tree):
    spoil(tree, lambda image: image, CRVAL1=58.4 + 0.5 * sky_maker.SCALE / 3600)


def empty(tree):
    spoil(tree, lambda image: image * np.nan)


def remove(tree):
    (tree / "my_template.fits").unlink()


def nameless(tree):
    path = tree / "config/images/my_pair.yaml"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "zero_point: 29.0" not in line))
    spoil(tree, lambda image: image, BUNIT=None)


def spoil(tree, change, **cards):
    image = fits.getdata(tree / "my_template.fits")
    sky_maker.write(tree / "my_template.fits", change(image), MAGZERO=29.0, **cards)


@pytest.mark.parametrize(
    "fault, words",
    [
        (cut, "the template has 600 x 516 pixels, the image 600 x 520"),
        (move, "pixels off that of the image"),
        (empty, "no pixel of the template is finite"),
        (remove, "the file my_template.fits is not there"),
        (nameless, "no zero point"),
    ],
)
def test_a_pair_that_is_none_is_refused_before_any_job(pair, fault, words):
    fault(pair)
    for more in (["-n"], ["--cores", 1]) if fault is cut else (["-n"],):  # the same for all: before any job
        done = run_snakemake(pair, *more, "--configfile", STUDY, root=pair)
        assert done.returncode == 1 and words in done.stdout, done.stdout[-3000:]
        assert "my_template.fits" in done.stdout and "Remedy" in done.stdout and "Traceback" not in done.stdout
    assert not (pair / "results").exists()
