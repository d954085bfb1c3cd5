"""Injection into simulated patches: MODEL grows, NOISE stays, twins share the source."""

from dataclasses import replace

import numpy as np
import pytest
import sky_maker
from astropy.table import Table
from astropy.wcs import WCS
from blendimpact.data.catalogues import describe
from blendimpact.data.images import BandImage, Patch
from blendimpact.data.psf import psf_pixels
from blendimpact.sky.adopt.patches import truth_columns
from blendimpact.sky.injection import inject
from blendimpact.sky.profiles import add_stamp, draw_source

SHAPE, PSF, BORDER = sky_maker.PATCH, sky_maker.PSF_MODEL, sky_maker.BORDER
SETTINGS = {"scenario": "fiducial", "bands": ["g", "r"], "shape_band": "g", "match_radius": 1.0, "truth_snr": 0}
QUIET = {**SETTINGS, "inject": {"photon_noise": False}}


def simulated(shear=0.0, twin="zero"):
    """Two known galaxies in two bands, with MODEL and NOISE as simulated patches have them."""
    rng = np.random.default_rng(3)
    wcs = WCS(sky_maker.tan_header(SHAPE, scale=0.2, parity=-1))
    rows = [
        {
            "source_id": k + 1,
            "kind": "sersic",
            "role": "target",
            "x": x,
            "y": 70.0,
            "flux_g": 4e3,
            "flux_r": 6e3,
            "hlr_disk": 0.5,
            "n_disk": 1.0,
            "g1_disk": 0.1,
            "g2_disk": 0.0,
        }
        for k, x in enumerate((50.0, 120.0))
    ]
    bands, images = ("g", "r"), {}
    for band in bands:
        zero = np.zeros(SHAPE, np.float32)
        image = BandImage(band, zero, zero, zero.astype(np.uint8), psf_pixels(PSF, 0.2, 31), wcs, 31.4, 2.0, dict(PSF))
        model = np.zeros(SHAPE)
        for row in rows:
            add_stamp(model, draw_source(row, image, shear))
        noise = 10 * rng.standard_normal(SHAPE)
        images[band] = replace(
            image,
            science=(model + noise).astype(np.float32),
            variance=(100 + model / 2.0).astype(np.float32),
            planes={"MODEL": model.astype(np.float32), "NOISE": noise.astype(np.float32)},
        )
    columns = {
        k: v for k, v in truth_columns(bands, "nJy").items() if k not in ("ambiguous", "injection_id", "injection_flag")
    }
    blank = {
        "case": "two_point",
        "scenario": "fiducial",
        "patch": 4,
        "block": 4,
        "twin": twin,
        "stamp": "",
        "evolution": "",
        "purity_g": 1.0,
        "purity_r": 1.0,
    }
    truth = Table(rows=[{c: {**blank, **row}.get(c, np.nan) for c in columns} for row in rows])[list(columns)]
    truth["cluster"] = np.array([-1, 3])
    describe(truth, {**columns, "cluster": (None, "cluster")})
    return Patch(4, twin, shear, images, BORDER), truth


def two_band(patch, rows):
    return sky_maker.sources(patch, [{"mag": 23.0, **row} for row in rows])


def test_injection_into_a_simulated_patch():
    patch, truth = simulated()
    out, rows = inject(
        patch, truth, two_band(patch, [{"x": 53.0, "y": 72.0}]), 1, "two_point", {**QUIET, "bands": ["g", "r"]}
    )
    for band in ("g", "r"):
        before, after = patch.bands[band], out.bands[band]
        assert np.array_equal(before.planes["NOISE"], after.planes["NOISE"])
        grown = after.planes["MODEL"].astype(float) - before.planes["MODEL"]
        assert grown.sum() == pytest.approx(10 ** (0.4 * (31.4 - 23)), rel=1.5e-4)
        assert np.allclose(after.variance, 100 + np.maximum(after.planes["MODEL"], 0) / 2.0, rtol=1e-4)
        assert np.allclose(after.science - after.planes["MODEL"], before.planes["NOISE"], atol=1e-2)
    assert rows["patch"].tolist() == [4, 4, 4] and rows["block"].tolist() == [4, 4, 4]
    assert rows["cluster"].tolist() == [-1, 3, -1] and rows["injection_id"].tolist() == [-1, -1, 0]
    # the galaxy under the new one is less pure than before, the other as pure
    assert rows["purity_g"][0] < 0.9 and rows["purity_g"][1] == 1.0 and rows["purity_g"][2] < 0.9
    stamp = draw_source(dict(zip(rows.colnames, rows[0])), out.bands["g"])
    total = out.bands["g"].planes["MODEL"].astype(float)
    y0, x0 = max(0, stamp.y0), max(0, stamp.x0)
    own = stamp.array[y0 - stamp.y0 :, x0 - stamp.x0 :][: SHAPE[0] - y0, : SHAPE[1] - x0]
    kept = own > 0.05 * 10
    expected = (own[kept] ** 2).sum() / (own * total[y0 : y0 + own.shape[0], x0 : x0 + own.shape[1]])[kept].sum()
    assert rows["purity_g"][0] == pytest.approx(expected, rel=1e-3)


def test_sheared_twins_share_the_source():
    """Positions and shapes follow the shear; role and photon deviates are the same."""
    where = {"x": 130.0, "y": 40.0, "n": 1.0, "q": 1.0, "mag": 20.0}
    result = {}
    for twin, g in (("plus", 0.02), ("minus", -0.02)):
        patch, truth = simulated(g, twin)
        out, rows = inject(patch, truth, two_band(patch, [where]), 1, "two_point", {**SETTINGS, "bands": ["g", "r"]})
        result[twin] = out, rows[-1], patch
    cx, cy = (SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2
    for twin, g in (("plus", 0.02), ("minus", -0.02)):
        row = result[twin][1]
        norm = 1 / np.sqrt(1 - g * g)
        assert row["x"] == pytest.approx(cx + (130 - cx) * (1 + g) * norm, abs=1e-6)
        assert row["y"] == pytest.approx(cy + (40 - cy) * (1 - g) * norm, abs=1e-6)
        assert row["role"] == "target" and row["twin"] == twin
        image = result[twin][0].bands["g"]
        photons = (
            image.science
            - result[twin][2].bands["g"].science
            - (image.planes["MODEL"] - result[twin][2].bands["g"].planes["MODEL"])
        )
        yi, xi = int(row["y"] + 0.5), int(row["x"] + 0.5)
        result[twin] += (photons[yi - 3 : yi + 4, xi - 3 : xi + 4],)
    plus, minus = (result[t][3].ravel() for t in ("plus", "minus"))
    assert np.corrcoef(plus, minus)[0, 1] > 0.98
