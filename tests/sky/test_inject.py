"""Injection: light conserved and known to the last pixel, noise as it should be, flags, no exceptions."""

from dataclasses import replace

import numpy as np
import pytest
import sky_maker
from astropy.io import fits
from blendimpact.data import catalogues
from blendimpact.data.images import PatchFile, PatchWriter
from blendimpact.errors import StudyError
from blendimpact.sky.adopt.noise import draw_noise
from blendimpact.sky.injection import inject, patch_number
from blendimpact.sky.injection_flags import FLAG, INJECTED_IDS, INJECTION_BITS
from blendimpact.sky.profiles import add_stamp, draw_source
from blendimpact.stats.streams import stream

SETTINGS = {"scenario": "fiducial", "bands": ["g"], "shape_band": "g", "match_radius": 1.0, "truth_snr": 0}
QUIET = {**SETTINGS, "inject": {"photon_noise": False}}


def added(before, after):
    return after.bands["g"].science.astype(float) - before.bands["g"].science


@pytest.mark.parametrize("kind", ["pixels", "moffat"])
@pytest.mark.parametrize(
    "row",
    [
        {"n": 1.0},
        {"n": 4.0, "mag": 23.0, "half_light_radius": 0.3},
        {"source_type": "Star"},
        {"source_type": "Trail", "trail_length": 15.0, "beta": 25.0, "mag": 23.0},
    ],
)
def test_flux_is_conserved(kind, row):
    patch, truth = sky_maker.real_patch(kind)
    out, rows = inject(patch, truth, sky_maker.sources(patch, [{"x": 84.3, "y": 75.6, **row}]), 1, "galaxies", QUIET)
    flux = rows["flux_g"][-1]
    mag = row.get("mag", 21.0) - (2.5 * np.log10(15) if row.get("source_type") == "Trail" else 0)
    assert flux == pytest.approx(10 ** (0.4 * (30 - mag)), rel=1e-6)
    assert rows["injection_flag"][-1] == 0
    assert added(patch, out).sum() == pytest.approx(flux, rel=1.5e-4)
    assert out.bands["g"].planes["MODEL"].sum(dtype=float) == pytest.approx(flux, rel=1.5e-4)


def test_difference_is_the_sum_of_the_stamps():
    """What the truth rows draw again is, to the last bit, what was added."""
    patch, truth = sky_maker.real_patch()
    catalogue = sky_maker.sources(
        patch,
        [
            {"x": 40.2, "y": 60.9},
            {"x": 47.7, "y": 61.0, "n": 2.5, "mag": 20.0, "beta": 100.0},
            {"x": 100.4, "y": 30.5, "source_type": "Star"},
            {"x": 3.0, "y": 140.0},
        ],
    )
    out, rows = inject(patch, truth, catalogue, 1, "galaxies", QUIET)
    model = np.zeros(sky_maker.PATCH)
    for row in rows[rows["role"] != "context"]:
        add_stamp(model, draw_source(dict(zip(rows.colnames, row)), out.bands["g"]))
    assert np.array_equal(out.bands["g"].planes["MODEL"], model.astype(np.float32))
    assert np.array_equal(out.bands["g"].science, (patch.bands["g"].science + model).astype(np.float32))
    assert rows["role"].tolist() == ["context", "context", "target", "target", "target", "scene"]


def test_rows_draw_the_same_after_the_disk(tmp_path):
    patch, truth = sky_maker.real_patch()
    out, rows = inject(
        patch, truth, sky_maker.sources(patch, [{"x": 84.3, "y": 75.6, "beta": 77.0}]), 1, "galaxies", QUIET
    )
    with PatchWriter(tmp_path / "p.fits") as writer:
        writer.write(out)
    catalogues.write(rows, tmp_path / "t.parquet")
    back = catalogues.read(tmp_path / "t.parquet")
    with PatchFile(tmp_path / "p.fits") as file:
        image = file.read(7003, "zero").bands["g"]
    model = np.zeros(sky_maker.PATCH)
    add_stamp(model, draw_source(dict(zip(back.colnames, back[-1])), image))
    assert np.array_equal(image.planes["MODEL"], model.astype(np.float32))
    assert back["source_id"][-1] == INJECTED_IDS and back["x"][-1] == pytest.approx(84.3, abs=1e-6)


def test_shape_on_the_image_follows_the_parity():
    """Axis ratio and angle on the sky give the opposite g2 on images of opposite parity."""
    shapes = []
    for parity in (1, -1):
        patch, truth = sky_maker.real_patch(parity=parity)
        _, rows = inject(
            patch, truth, sky_maker.sources(patch, [{"x": 84, "y": 75, "q": 0.5, "beta": 30.0}]), 1, "g", QUIET
        )
        shapes.append((rows["g1_disk"][-1], rows["g2_disk"][-1]))
    g = 1 / 3
    assert shapes[0] == pytest.approx((g * np.cos(np.pi / 3), g * np.sin(np.pi / 3)), abs=1e-3)
    assert shapes[1] == pytest.approx((shapes[0][0], -shapes[0][1]), abs=1e-3)


def test_photon_noise_has_the_variance_of_the_light():
    """Var = s / gain in each pixel, over many patches, and the VAR plane grows by as much."""
    patch, truth = sky_maker.real_patch()
    catalogue = [{"x": 84.0, "y": 75.0, "source_type": "Star", "mag": 19.0}]
    quiet, _ = inject(patch, truth, sky_maker.sources(patch, catalogue), 1, "galaxies", QUIET)
    model = added(patch, quiet)
    noise = []
    for k in range(80):
        here = replace(patch, index=patch_number(7, k))
        out, _ = inject(here, truth, sky_maker.sources(patch, catalogue), 1, "galaxies", SETTINGS)
        noise.append((out.bands["g"].science - quiet.bands["g"].science).astype(float))
    noise = np.array(noise)
    bright = model > 20
    pulls = noise[:, bright] / np.sqrt(model[bright] / sky_maker.GAIN)
    assert bright.sum() > 50
    assert pulls.var() == pytest.approx(1.0, abs=4 * np.sqrt(2 / pulls.size))
    assert abs(pulls.mean()) < 4 / np.sqrt(pulls.size)
    grown = quiet.bands["g"].variance - patch.bands["g"].variance
    assert np.allclose(grown, np.maximum(model, 0) / sky_maker.GAIN, atol=2e-4)


def test_noise_plane_of_a_real_patch():
    patch, truth = sky_maker.real_patch()
    drawn = []
    for k in range(20):
        out, _ = inject(
            replace(patch, index=patch_number(7, k)),
            truth,
            sky_maker.sources(patch, [{"x": 84, "y": 75}]),
            1,
            "galaxies",
            SETTINGS,
        )
        drawn.append(out.bands["g"].planes["NOISE"].astype(float))
    drawn = np.array(drawn)
    assert not np.array_equal(drawn[0], drawn[1])
    # the sky's noise only: nothing of the real sources' photons under their footprints
    assert drawn.std() == pytest.approx(sky_maker.RMS, rel=0.01)
    assert drawn[:, 45:55, 55:65].std() == pytest.approx(sky_maker.RMS, rel=0.1)
    lag = (drawn[:, :, 1:] * drawn[:, :, :-1]).mean() / drawn.var()
    assert lag == pytest.approx(sky_maker.correlation()[2, 3], abs=0.01)
    expected = draw_noise(
        sky_maker.PATCH, np.ones(sky_maker.PATCH), sky_maker.correlation(), stream(1, "galaxies", 7019, "g", "sky")
    )
    assert np.allclose(drawn[19], sky_maker.RMS * expected, rtol=1e-3)


def test_the_given_patch_and_truth_stay():
    patch, truth = sky_maker.real_patch()
    science, variance = patch.bands["g"].science.copy(), patch.bands["g"].variance.copy()
    before = truth.copy()
    catalogue = sky_maker.sources(patch, [{"x": 84, "y": 75}])
    out, rows = inject(patch, truth, catalogue, 1, "galaxies", SETTINGS)
    assert np.array_equal(patch.bands["g"].science, science) and np.array_equal(patch.bands["g"].variance, variance)
    assert set(patch.bands["g"].planes) == {"BASE", "SEG"}
    assert all((before[c] == truth[c])[~(before[c] != before[c])].all() for c in before.colnames)
    assert np.array_equal(out.bands["g"].planes["BASE"], science)
    assert (rows["patch"] == 7003).all() and (rows["block"] == 7).all() and (rows["twin"] == "zero").all()
    assert catalogue["source_id"].tolist() == [INJECTED_IDS] and catalogue["injection_flag"].tolist() == [0]
    assert all(rows[c].info.description for c in rows.colnames)


def test_order_and_company_change_no_source():
    """The draws of a source, photons too, depend on its own id alone."""
    patch, truth = sky_maker.real_patch()
    rows = [{"x": 40.2, "y": 60.9, "injection_id": 5}, {"x": 120.0, "y": 120.0, "injection_id": 9, "mag": 20.0}]
    both, _ = inject(patch, truth, sky_maker.sources(patch, rows), 1, "galaxies", SETTINGS)
    turned, _ = inject(patch, truth, sky_maker.sources(patch, rows[::-1]), 1, "galaxies", SETTINGS)
    alone, _ = inject(patch, truth, sky_maker.sources(patch, rows[:1]), 1, "galaxies", SETTINGS)
    assert np.allclose(both.bands["g"].science, turned.bands["g"].science, rtol=1e-6, atol=1e-6)
    near = np.s_[50:72, 30:52]
    assert np.allclose(added(patch, both)[near], added(patch, alone)[near], atol=1e-2)
    assert np.array_equal(both.bands["g"].planes["NOISE"], alone.bands["g"].planes["NOISE"])


def test_snr_and_purity():
    patch, truth = sky_maker.real_patch()
    _, rows = inject(
        patch,
        truth,
        sky_maker.sources(
            patch, [{"x": 134.0, "y": 40.0, "mag": 24.0}, {"x": 64.0, "y": 52.0, "mag": 22.0, "source_type": "Star"}]
        ),
        1,
        "galaxies",
        QUIET,
    )
    lonely, covered = rows[-2], rows[-1]
    image = patch.bands["g"]
    for row in (lonely, covered):
        stamp = draw_source(dict(zip(rows.colnames, row)), image)
        expected = np.sqrt((stamp.array**2).sum()) / sky_maker.RMS
        assert row["snr_g"] == pytest.approx(expected, rel=1e-3) and row["snr"] == pytest.approx(row["snr_g"])
    # the bright star's wings outside of its footprint are not known light
    assert lonely["purity_g"] == pytest.approx(1.0, abs=1e-6)
    stamp = draw_source(dict(zip(rows.colnames, covered)), image)
    total = np.where(image.planes["SEG"] > 0, np.maximum(image.planes["BASE"], 0), 0).astype(float)
    add_stamp(total, stamp)
    ny, nx = stamp.array.shape
    part = total[stamp.y0 : stamp.y0 + ny, stamp.x0 : stamp.x0 + nx]
    kept = stamp.array > 0.05 * sky_maker.RMS
    expected = (stamp.array[kept] ** 2).sum() / (stamp.array * part)[kept].sum()
    assert covered["purity_g"] == pytest.approx(expected, rel=1e-4) and expected < 0.5


def test_neighbours_of_injected_sources():
    patch, truth = sky_maker.real_patch()
    _, rows = inject(
        patch,
        truth,
        sky_maker.sources(
            patch,
            [
                {"x": 62.0, "y": 51.0, "mag": 22.0},  # 0.6 arcsec from a brighter source
                {"x": 68.0, "y": 52.0, "mag": 22.0},  # on its footprint, further than the match radius
                {"x": 111.0, "y": 90.0, "mag": 20.0},  # on a fainter source
                {"x": 134.0, "y": 40.0, "mag": 22.0},
            ],
        ),
        1,
        "galaxies",
        QUIET,
    )
    found = rows[-4:]
    assert found["ambiguous"].tolist() == [True, False, False, False]
    on = (found["injection_flag"] & FLAG.ON_BRIGHT_NEIGHBOUR) > 0
    assert on.tolist() == [True, True, False, False]
    assert not rows["ambiguous"][:2].any() and (found["role"] == "target").all()


def test_flags_not_exceptions(tmp_path):
    fits.writeto(tmp_path / "nan.fits", np.full((9, 9), np.nan))
    patch, truth = sky_maker.real_patch()
    stamp = {"source_type": "Stamp"}
    catalogue = sky_maker.sources(
        patch,
        [
            {"x": 84.0, "y": 75.0},
            {"x": -400.0, "y": 75.0},
            {"x": 2.0, "y": 75.0},
            {"x": 45.0, "y": 105.0},
            {"x": 140.0, "y": 40.0, "mag": 15.0, "source_type": "Star"},
            {"x": 84.0, "y": 40.0, "n": 9.0},
            {"x": 84.0, "y": 40.0, "half_light_radius": -0.5},
            {"x": 84.0, "y": 40.0, "q": 1.7},
            {"x": 84.0, "y": 40.0, "q": -0.2},
            {"x": 84.0, "y": 40.0, "stamp": str(tmp_path / "none.fits"), **stamp},
            {"x": 84.0, "y": 40.0, "stamp": str(tmp_path / "nan.fits"), **stamp},
            {"x": 84.0, "y": 40.0, "source_type": "Trail", "trail_length": -3.0},
        ],
    )
    out, rows = inject(patch, truth, catalogue, 1, "galaxies", QUIET)
    names = [[name for name, _ in FLAG.decode(flag)] for flag in rows["injection_flag"][2:]]
    assert names[0] == [] and names[1] == ["OFF_IMAGE"] and names[2] == ["PARTLY_OFF"]
    assert "MASKED_CENTRE" in names[3] and "TOO_BRIGHT" in names[4]
    assert all(n == ["BAD_PARAMETERS"] for n in names[5:])
    assert catalogue["injection_flag"].tolist() == rows["injection_flag"][2:].tolist()
    roles = rows["role"][2:].tolist()
    assert roles == ["target"] + ["scene"] * 11
    assert np.isnan(rows["flux_g"][-7:]).all() and np.isnan(rows["snr"][-7:]).all() and np.isnan(rows["flux_g"][3])
    good = rows["flux_g"][[2, 5, 6]].sum()
    partly = rows["flux_g"][4]
    assert good < added(patch, out).sum() < good + partly
    assert np.isfinite(out.bands["g"].science).all()
    for text in INJECTION_BITS.values():
        assert len(text) == 2 and all(text)
    with pytest.raises(ValueError):
        FLAG.decode(1 << 20)


def test_unexpected_trouble_with_one_source_is_a_flag(monkeypatch):
    from blendimpact.sky import injection as module

    def draw(row, *args):
        if row["injection_id"] == 1:
            raise MemoryError("too large")
        return draw_source(row, *args)

    monkeypatch.setattr(module, "draw_source", draw)
    patch, truth = sky_maker.real_patch()
    _, rows = inject(
        patch,
        truth,
        sky_maker.sources(patch, [{"x": 84, "y": 75}, {"x": 40, "y": 75}, {"x": 60, "y": 30}]),
        1,
        "galaxies",
        QUIET,
    )
    assert rows["injection_flag"][-3:].tolist() == [0, FLAG.DRAW_FAILED, 0]


def test_a_stamp_is_injected(tmp_path):
    yy, xx = np.indices((41, 41)) - 20
    array = np.exp(-((xx / 5.0) ** 2 + (yy / 3.0) ** 2) / 2)
    fits.writeto(tmp_path / "s.fits", array, sky_maker.tan_header((41, 41)))
    patch, truth = sky_maker.real_patch()
    row = {"x": 84.0, "y": 75.0, "source_type": "Stamp", "stamp": str(tmp_path / "s.fits"), "mag": 20.0}
    out, rows = inject(patch, truth, sky_maker.sources(patch, [row]), 1, "galaxies", QUIET)
    assert rows["kind"][-1] == "stamp" and rows["injection_flag"][-1] == 0
    light = added(patch, out)
    assert light.sum() == pytest.approx(1e4, rel=1.5e-4)
    yy, xx = np.indices(sky_maker.PATCH)
    x, y = (light * xx).sum() / light.sum(), (light * yy).sum() / light.sum()
    assert (x, y) == pytest.approx((84, 75), abs=0.05)
    assert (light * (xx - x) ** 2).sum() > 1.3 * (light * (yy - y) ** 2).sum()


def test_no_source_and_no_noise_model():
    patch, truth = sky_maker.real_patch()
    empty = sky_maker.sources(patch, [{"x": 84, "y": 75}])[:0]
    out, rows = inject(patch, truth, empty, 1, "galaxies", SETTINGS)
    assert len(rows) == len(truth) and np.array_equal(out.bands["g"].science, patch.bands["g"].science)
    assert (out.bands["g"].planes["MODEL"] == 0).all() and "NOISE" in out.bands["g"].planes
    truth.meta.clear()
    with pytest.raises(StudyError, match="noise model"):
        inject(patch, truth, empty, 1, "galaxies", SETTINGS)
