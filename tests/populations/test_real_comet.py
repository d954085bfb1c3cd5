"""The stamp of a real coma: what is cut out of the frame, how it is injected, and what its profile is."""

import os
from pathlib import Path

import galsim
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from blendimpact.config.surveys import load_survey
from blendimpact.errors import StudyError
from blendimpact.populations.base import prepare
from blendimpact.populations.coma_9p import (
    BIN,
    CENTRE,
    DELTA,
    FRAME_DELTA,
    FRAME_SCALE,
    INNER,
    RADIUS,
    SHAPE,
    build_coma,
    profile_slope,
    read_coma,
)
from blendimpact.populations.comet import SUN, afrho
from blendimpact.sky.injection import inject
from blendimpact.sky.patches import simulate_patch
from blendimpact.sky.profiles import draw_source
from harness import ROOT
from synthetic import tables
from target_maker import draw
from test_transients import SETTINGS

PIXEL = FRAME_SCALE * BIN * FRAME_DELTA / DELTA  # arcsec


def frame_of(slope, spoil=True):
    """A frame like that of 9P: a power law of known slope with noise, and two pixels that are no comet."""
    yy, xx = np.indices(SHAPE)
    radius = np.hypot(xx - CENTRE[0], yy - CENTRE[1])
    frame = 1e-16 * np.maximum(radius, 0.7) ** slope + 2e-19 * np.random.default_rng(1).standard_normal(SHAPE)
    if spoil:
        frame[CENTRE[1] + 60, CENTRE[0] + 20], frame[CENTRE[1] - 70, CENTRE[0] - 30] = 1e-15, -1e-15
    return frame


@pytest.fixture
def made(tmp_path):
    def make(frame):
        (tmp_path / "input").mkdir(exist_ok=True)
        fits.writeto(tmp_path / "input/hbo.fits", frame, overwrite=True)
        prepare("coma_9p", {"comet_9p": tmp_path / "input"}, tmp_path / "coma.fits")
        return tmp_path / "coma.fits"

    return make


@pytest.mark.parametrize("slope", [-1.0, -0.6])
def test_the_slope_is_that_of_the_frame(made, slope):
    coma = read_coma(made(frame_of(slope)))
    assert coma.slope == pytest.approx(slope, abs=0.01) and 0 < coma.slope_error < 0.01
    assert coma.radius == pytest.approx(RADIUS * FRAME_SCALE * FRAME_DELTA / DELTA) and coma.r_h == coma.delta + 1


def test_a_coma_that_is_not_round_has_a_larger_error():
    yy, xx = np.indices((301, 301)) - 150
    radius = np.maximum(np.hypot(yy, xx), 0.5)
    lopsided = radius ** (-0.8 + 0.3 * xx / radius)
    slope, error = profile_slope(lopsided, (150, 150), 12, 140)
    assert slope == pytest.approx(-0.8, abs=0.01) and error > 0.05
    assert np.isnan(profile_slope(-lopsided, (150, 150), 12, 140)).all()


def test_the_stamp_is_centred_clean_and_of_unit_sum(made):
    with fits.open(made(frame_of(-1.0))) as hdus:
        stamp, header = hdus[0].data, hdus[0].header
    half = stamp.shape[0] // 2
    assert stamp.shape == (85, 85) and stamp.sum() == pytest.approx(1, abs=1e-12)
    assert np.unravel_index(stamp.argmax(), stamp.shape) == (half, half)
    yy, xx = np.indices(stamp.shape) - half
    assert np.hypot((stamp * xx).sum(), (stamp * yy).sum()) < 0.05  # what was spoilt would pull it
    assert header["NFILLED"] == 2
    assert (stamp[np.hypot(xx, yy) > (RADIUS + 2) / BIN] == 0).all()
    assert 3600 * abs(WCS(header).pixel_scale_matrix[0, 0]) == pytest.approx(PIXEL)


def test_another_frame_is_refused(tmp_path):
    for frame, message in ((np.ones((5, 5)), "shape"), (np.zeros(SHAPE), "no comet")):
        fits.writeto(tmp_path / "x.fits", frame, overwrite=True)
        with pytest.raises(StudyError, match=message):
            build_coma(tmp_path / "x.fits")


@pytest.fixture
def sky(galaxies, stars):
    return simulate_patch(SETTINGS, 0, 5, "case", "fiducial", load_survey("lsst_y10_ideal"), tables(galaxies, stars))[0]


def drawn(sky, coma, **kinds):
    settings = {**SETTINGS, "inject": {**SETTINGS["inject"], "kinds": kinds}}
    return settings, draw(settings, *sky, 5, "case", 0, 0, coma_9p=coma)


def test_injected_it_keeps_its_flux_and_its_centre(made, sky):
    patch, truth = sky
    coma = read_coma(made(frame_of(-0.6)))
    settings, rows = drawn(sky, coma, coma_9p=1)
    assert len(rows) >= 4 and set(rows["transient"]) == {"coma_9p"} and set(rows["source_type"]) == {"Stamp"}
    assert set(rows["stamp"]) == {coma.path}  # the whole path
    out, table = inject(patch, truth, rows, 5, "case", settings)
    targets = table[np.asarray(table["transient"]) == "coma_9p"]
    added = out.bands["r"].planes["MODEL"].astype(float) - patch.bands["r"].planes["MODEL"]
    inside = (np.asarray(targets["injection_flag"]) & 2) == 0
    assert inside.sum() >= 2 and added.sum() <= 1.001 * targets["flux_r"].sum()
    for row in targets:
        assert row["kind"] == "stamp" and 3 <= row["snr_r"] <= 60
        whole = draw_source({**{n: row[n] for n in targets.colnames}}, patch.bands["r"])
        assert whole.array.sum() == pytest.approx(row["flux_r"], rel=2e-3)
        yy, xx = np.indices(whole.array.shape)
        place = [(whole.array * v).sum() / whole.array.sum() for v in (xx + whole.x0, yy + whole.y0)]
        assert place == pytest.approx([row["x"], row["y"]], abs=0.1)  # pixels
        assert (row["coma_radius"], row["delta"]) == (coma.radius, DELTA)
        expected = afrho(row["mag_r"], coma.radius, coma.delta, coma.r_h, SUN["r"])
        assert row["afrho"] == pytest.approx(float(expected))


def test_without_the_frame_these_comets_are_left_out_and_no_other(made, sky, tmp_path):
    coma = read_coma(made(frame_of(-1.0)))
    prepare("coma_9p", {}, tmp_path / "none.fits", missing="no network")
    assert read_coma(tmp_path / "none.fits") is None
    _, every = drawn(sky, coma, coma_9p=1, trail=1)
    _, some = drawn(sky, None, coma_9p=1, trail=1)
    assert set(every["transient"]) == {"coma_9p", "trail"} and set(some["transient"]) == {"trail"}
    assert set(some["injection_id"]) >= set(every["injection_id"][every["transient"] == "trail"])


@pytest.mark.real
def test_the_coma_of_9p_is_flatter_than_a_steady_outflow(tmp_path):
    """Brightness as rho^-0.6, not 1 / rho; the nucleus where it is known to be; noise that does not show."""
    folder = Path(os.environ.get("BLENDIMPACT_INPUTS", ROOT / "results" / "inputs")) / "comet_9p"
    if not (folder / "hbo.fits").is_file():
        pytest.skip(f"no {folder}/hbo.fits: snakemake results/inputs/comet_9p/receipt.json, or set BLENDIMPACT_INPUTS")
    prepare("coma_9p", {"comet_9p": folder}, tmp_path / "coma.fits")
    coma, stamp = read_coma(tmp_path / "coma.fits"), fits.getdata(tmp_path / "coma.fits")
    assert coma.slope == pytest.approx(-0.60, abs=0.03) and coma.slope_error < 0.03
    frame = fits.getdata(folder / "hbo.fits").astype(float)
    for level in (-2e-19, 2e-19):  # of the sky
        assert -0.75 < profile_slope(frame + level, CENTRE, INNER, RADIUS)[0] < -0.5
    assert np.unravel_index(stamp.argmax(), stamp.shape) == (42, 42) and stamp.min() >= 0
    # In the seeing of a visit the light within 1 arcsec is less than that of a 1 / rho coma of the same total.
    picture = galsim.InterpolatedImage(galsim.Image(stamp, scale=PIXEL), flux=1.0)
    image = galsim.Convolve(picture, galsim.Kolmogorov(fwhm=0.8)).drawImage(nx=101, ny=101, scale=0.2).array
    radius = 0.2 * np.hypot(*(np.indices(image.shape) - 50))
    assert image[radius < 5.5].sum() > 0.9
    assert image[radius < 1].sum() < 0.8 * (1 / coma.radius)
