"""The worked examples of docs run: a detector, a survey, a real image, a catalogue that is injected into it."""

import contextlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sky_maker
import synthetic
import yaml
from astropy.wcs import WCS
from blendimpact import detect
from blendimpact.config import settings
from blendimpact.config import study as config
from blendimpact.config.surveys import load_survey
from blendimpact.data import catalogues
from blendimpact.data.images import PatchFile, PatchWriter
from blendimpact.detect import DETECTORS
from blendimpact.detect.base import COLUMNS, detect_on_stamp
from blendimpact.errors import StudyError
from blendimpact.stages import adopt as pipeline_adopt
from blendimpact.stages import inject as pipeline_inject
from harness import run_snakemake
from pages import blocks, checked, commands, directory, lay_out, run_code, saved, write_field
from patch_maker import make_patch, peak_snr_flux, scene

# --- a detector -------------------------------------------------------------------------------------


@pytest.fixture
def maxima(tmp_path, monkeypatch):
    """The family of detectors with the page's module in its package, found by being there."""
    DETECTORS.names()
    lay_out("docs/add-a-detector.md", tmp_path)
    monkeypatch.setattr(detect, "__path__", [*detect.__path__, str(tmp_path / "scripts/blendimpact/detect")])
    monkeypatch.setattr(DETECTORS, "_members", dict(DETECTORS._members))
    monkeypatch.chdir(tmp_path)
    yield DETECTORS
    sys.modules.pop("blendimpact.detect.maxima", None)


STARS = [(30.3, 40.6, peak_snr_flux(50)), (80.8, 60.2, peak_snr_flux(30)), (87.5, 60.2, peak_snr_flux(30))]


def stars_on_noise(shape=(100, 120)):
    rng = np.random.default_rng(5)
    return make_patch({band: scene(shape, STARS) + rng.normal(size=shape) + 7 for band in "gi"})


def test_the_detector_finds_stars_and_splits_a_blend(maxima):
    assert "maxima" in maxima.names()
    patch = stars_on_noise()
    found = maxima.create("maxima", {"threshold": 6.0}).detect(patch, {b: np.full(patch.shape, 7.0) for b in "gi"})
    table = found.table
    assert table.colnames == list(COLUMNS) and table["det_id"].tolist() == [1, 2, 3]
    assert np.allclose(sorted(zip(table["x"], table["y"])), [s[:2] for s in STARS], atol=0.35)
    assert sorted(table["flag"].tolist()) == [0, 2**0, 2**0]  # the two of one footprint
    assert [found.segmentation[round(y), round(x)] for x, y in zip(table["x"], table["y"])] == [1, 2, 3]
    assert np.array_equal(np.bincount(found.segmentation.ravel())[1:], table["npix"])


def test_the_detector_meets_what_the_page_asks(maxima):
    detector = maxima.create("maxima", {"threshold": 6.0})
    patch = make_patch({"i": np.random.default_rng(1).normal(size=(80, 80))})
    nothing = detector.detect(patch, {})
    assert len(nothing.table) == 0 and not nothing.segmentation.any()
    stamp = scene((41, 41), [(20, 20, peak_snr_flux(20))]) + np.random.default_rng(2).normal(size=(41, 41))
    for image, expected in ((stamp, True), (stamp * 0, False)):
        assert detect_on_stamp(detector, patch, {"i": image}, 10, 10, 30.0, 30.0, 3.0) is expected
    with pytest.raises(StudyError, match="has no option 'treshold'.*\n.*threshold"):
        maxima.create("maxima", {"treshold": 4})


def test_the_detector_can_be_tried_as_the_page_says(maxima, tmp_path):
    path = tmp_path / "results/maxima/two_point/fiducial/simulate/000.fits"
    path.parent.mkdir(parents=True)
    with PatchWriter(path) as writer:
        writer.write(stars_on_noise())
    code = [b.text for b in blocks("docs/add-a-detector.md", "python") if b.path is None]
    assert len(code) == 1
    assert re.match(r"[3-9] objects, S/N ", run_code(code[0]))


# --- a survey ---------------------------------------------------------------------------------------


@pytest.fixture
def laid_out(tmp_path):
    """A function that goes to a directory with the configuration and the files of some pages."""
    with contextlib.ExitStack() as stack:
        yield lambda *pages: stack.enter_context(directory(tmp_path, *pages))


def test_the_survey_has_the_depth_that_it_states(laid_out):
    laid_out("docs/add-a-survey.md")
    visit, ideal = load_survey("lsst_dark_visit"), load_survey("lsst_y10_ideal")
    for band in visit.bands.values():
        assert band.depth() == pytest.approx(band.depth_5sigma, abs=0.01)
        nominal = ideal.bands[band.name]
        lost = 1.25 * np.log10(nominal.exposure / band.exposure)
        assert band.depth() == pytest.approx(nominal.depth() - lost, abs=1e-6)
    half, shallow = load_survey("lsst_half"), load_survey("lsst_shallow")
    assert half.bands["i"].depth() == pytest.approx(ideal.bands["i"].depth() - 0.38, abs=0.005)
    assert {b: round(v.depth(), 6) for b, v in shallow.bands.items()} == {"g": 26, "r": 26, "i": 26}


def test_the_depth_command_prints_what_the_page_states(tree):
    lay_out("docs/add-a-survey.md", tree)
    words = next(w for w in commands("docs/add-a-survey.md") if "python" in w)
    done = subprocess.run(
        [sys.executable, *words[2:]], cwd=tree, env={"PYTHONPATH": "scripts"}, text=True, capture_output=True
    )
    stated = yaml.safe_load(saved("docs/add-a-survey.md", "lsst_dark_visit.yaml")[0].text)["bands"]
    assert eval(done.stdout) == {band: values["depth_5sigma"] for band, values in stated.items()}, done.stderr


def test_a_survey_whose_number_has_no_reference_is_refused(laid_out):
    laid_out("docs/add-a-survey.md")
    path = Path("config/surveys/lsst_dark_visit.yaml")
    path.write_text(re.sub(r"^  exposure: .*\n", "", path.read_text(), flags=re.M))
    with pytest.raises(StudyError, match="no reference for 'exposure'"):
        load_survey("lsst_dark_visit")


# --- a real image, and what is injected into it --------------------------------------------------------


@pytest.fixture(scope="module")
def adopted(tmp_path_factory):
    """The worked example of the real image, adopted as the rule does it: (directory, settings, patches, truth)."""
    folder = tmp_path_factory.mktemp("field")
    with directory(folder, "docs/add-a-real-image.md"):
        stars = write_field("my_field.fits")
        case = config.case_settings(checked("my_field_study.yaml"), "galaxies")
        out = folder / "results/my_field/galaxies/fiducial/adopt"
        out.mkdir(parents=True)
        with contextlib.redirect_stdout(io.StringIO()):
            pipeline_adopt.run(
                case,
                1,
                "config/images/my_field.yaml",
                "unused",
                out / "image.fits",
                out / "image.truth.parquet",
                out / "report.json",
            )
        lay_out("docs/inject-your-own.md", folder)
        mine = config.case_settings(checked("my_sources_study.yaml"), "galaxies")
    with PatchFile(out / "image.fits") as file:
        return folder, stars, case, mine, list(file), out


def test_the_image_is_adopted_with_what_its_entry_says(adopted):
    _, (places, fluxes), case, _, patches, out = adopted
    report = json.loads((out / "report.json").read_text())
    assert report["masked_pixels"] == {"BAD": 5 * 600, "BRIGHT": 300, "CROSSTALK": 0}  # bit 4 has no meaning
    assert (report["zero_point"], report["gain"]) == (sky_maker.ZERO_POINT, sky_maker.GAIN)
    assert report["psf"]["fwhm_arcsec"] == pytest.approx(sky_maker.FWHM, rel=0.05)
    assert report["noise"]["given_over_measured_variance"] == pytest.approx(1, abs=0.15)
    assert len(patches) == report["blocks"]["used"] == 4 and case["patch"]["count"] == 4
    found = 0
    for patch in patches:
        image = patch.bands["r"]
        x, y = image.wcs.world_to_pixel(WCS(sky_maker.tan_header((520, 600))).pixel_to_world(*places.T))
        yy, xx = np.indices(patch.shape)
        for k in np.flatnonzero(patch.inside(x, y)):
            near = np.hypot(xx - x[k], yy - y[k]) < 3 / sky_maker.SCALE
            if not image.mask[near].any():  # 3 arcsec hold 98.7 % of this Moffat; a galaxy may be near
                assert image.science[near].sum() / fluxes[k] == pytest.approx(0.987, abs=0.06)
                found += 1
    assert found > 20


def test_the_page_s_look_at_the_report_works(adopted, monkeypatch):
    monkeypatch.chdir(adopted[0])
    code = blocks("docs/add-a-real-image.md", "python")
    lines = run_code(code[0].text).splitlines()
    assert len(code) == 1 and len(lines) == 4
    assert lines[0].startswith("30.0 50.0") and lines[3].endswith("4 blocks used")


@pytest.fixture(scope="module")
def injected(adopted):
    """The page's catalogue injected into the page's image, as the rule does it: (truth, patches)."""
    folder, _, _, mine, _, out = adopted
    target = folder / "results/my_sources/galaxies/fiducial/inject"
    target.mkdir(parents=True)
    with contextlib.redirect_stderr(io.StringIO()), pytest.MonkeyPatch.context() as patcher:
        patcher.chdir(folder)
        pipeline_inject.run(
            mine,
            settings.patches(mine),
            1,
            out / "image.fits",
            out / "image.truth.parquet",
            target / "000.fits",
            target / "000.truth.parquet",
            catalogue=mine["inject"]["catalogue"],
        )
    with PatchFile(target / "000.fits") as file:
        return catalogues.read(target / "000.truth.parquet"), list(file)


def test_the_catalogue_is_injected_as_the_page_says(injected):
    truth, _ = injected
    mine = truth[truth["injection_id"] >= 0]
    targets = mine[mine["role"] == "target"]
    assert sorted(targets["injection_id"]) == [1, 2, 3, 4, 5]  # each in one block; 6 is off the image
    assert set(mine["injection_flag"][mine["injection_id"] == 6]) <= {1}
    by_id = {row["injection_id"]: row for row in targets}
    assert [by_id[k]["kind"] for k in (1, 2, 3, 4, 5)] == ["sersic", "star", "trail", "sersic", "sersic"]
    assert by_id[3]["mag_r"] == pytest.approx(25 - 2.5 * np.log10(40))  # of the whole trail
    assert by_id[3]["trail_length"] == pytest.approx(40 * sky_maker.SCALE, rel=1e-4)
    assert (by_id[1]["n_disk"], by_id[4]["n_disk"], by_id[5]["n_disk"]) == (4, 1, 1.5)
    # On this image x runs east and y north, so the angle from east is the one from the x axis.
    for k, q, beta in ((1, 0.8, 120), (5, 0.7, 30)):
        g = (1 - q) / (1 + q)
        assert (by_id[k]["g1_disk"], by_id[k]["g2_disk"]) == pytest.approx(
            (g * np.cos(2 * np.radians(beta)), g * np.sin(2 * np.radians(beta))), abs=1e-3
        )


def test_flux_is_conserved(injected):
    truth, patches = injected
    whole = 0
    for patch in patches:
        rows = truth[(truth["patch"] == patch.index) & (truth["injection_id"] >= 0)]
        light = rows[np.isfinite(rows["flux_r"])]
        if len(light) and not (light["injection_flag"] & 2).any():
            assert patch.bands["r"].planes["MODEL"].sum(dtype=float) == pytest.approx(light["flux_r"].sum(), rel=1e-4)
            whole += 1
    assert whole


def test_the_page_s_look_at_the_targets_works(adopted, injected, monkeypatch):
    monkeypatch.chdir(adopted[0])
    code = blocks("docs/inject-your-own.md", "python")
    assert len(code) == 1
    assert len(run_code(code[0].text).splitlines()) == 5


# --- runs -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_detector_runs_in_the_study(tree):
    synthetic.make_study(tree)
    lay_out("docs/add-a-detector.md", tree)
    path = "results/maxima/two_point/maxima/detect/000.detections.parquet"
    done = run_snakemake(tree, path, "--cores", 1, "--configfile", "study.yaml", "maxima.yaml", root=tree)
    assert done.returncode == 0, done.stdout[-5000:]
    table = catalogues.read(tree / path)
    assert set(table["detector"]) == {"maxima"} and len(table) > 10


@pytest.mark.slow
def test_a_user_s_image_and_catalogue_run_through_the_study(tree):
    for page in ("docs/add-a-real-image.md", "docs/inject-your-own.md"):
        lay_out(page, tree)
    write_field(tree / "my_field.fits")
    done = run_snakemake(tree, "galaxies", "--cores", 2, "--configfile", "my_sources_study.yaml", root=tree)
    assert done.returncode == 0, done.stdout[-5000:]
    scores = catalogues.read(tree / "results/my_sources/galaxies/fiducial/score/000.parquet")
    found = scores[(scores["fom"] == "GA-D1") & (scores["rung"] == "pipeline") & (scores["stratum"] == "all")]
    assert 0 <= found["s0"].sum() <= found["s1"].sum() and found["s1"].sum() >= 1
