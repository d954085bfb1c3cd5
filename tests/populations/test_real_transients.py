"""Asteroids and comets on a part of the real DES tile: what the truth says of real sources near them (real data)."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from blendimpact.config.real_image import load_image
from blendimpact.data.light import real_light
from blendimpact.populations.static_sky import EXTENDED, psf_half_light
from blendimpact.sky.adopt.image import adopt
from blendimpact.sky.adopt.patches import adopt_patches
from blendimpact.sky.injection import inject, patch_number
from target_maker import draw
from test_adopt import real_inputs

pytestmark = pytest.mark.real
SETTINGS = {
    "case": "transients",
    "scenario": "real",
    "bands": ["g"],
    "shape_band": "g",
    "truth_snr": 5,
    "match_radius": 1.0,
    "patch": {"size": 300, "border": 36},
    "inject": {
        "population": "transients",
        "per_patch": 8,
        "separation": 8,
        "snr": [3, 60],
        "kinds": {"trail": 1, "comet": 1},
    },
}


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    """A ninth of a degree of the tile, adopted by its own entry but for the size and a stated PSF: (image, blocks)."""
    path = tmp_path_factory.mktemp("des") / "part.fits"
    with fits.open(real_inputs() / "des_dr2_g" / "example_decam.fits") as hdus:
        header = hdus[0].header.copy()
        header["CRPIX1"] -= 1200
        header["CRPIX2"] -= 1500
        fits.PrimaryHDU(hdus[0].data[1500:2472, 1200:2172], header).writeto(path)
    spec = {k: v for k, v in load_image("des_dr2_g").items() if k not in ("input", "member", "mask")}
    spec |= {
        "file": str(path),
        "size": [972, 972],
        "mask": None,
        "psf": {"kind": "moffat", "fwhm": 1.13, "beta": 3.0, "size": 41},
    }
    image = adopt(spec, "unused")
    return image, list(adopt_patches(image, SETTINGS, 1, "transients", "real"))


def injected(blocks):
    """Yield before, after, truth and the rows of the targets of each block."""
    for patch, truth in blocks[1]:
        patch, block = replace(patch, index=patch_number(patch.index, 0)), patch.index
        rows = draw(SETTINGS, patch, truth, 7, "transients", block, 0)
        after, table = inject(patch, truth, rows, 7, "transients", SETTINGS)
        yield patch, after, table, table[np.asarray(table["role"]) == "target"]


def test_the_truth_knows_the_real_sources_around(blocks):
    number, near, on_light = 0, 0, 0
    for before, _, table, targets in injected(blocks):
        image = before.bands["g"]
        light = real_light(image.planes["BASE"], image.planes["SEG"])
        static = table[(np.asarray(table["role"]) == "context") & (np.asarray(table["snr"]) >= 5)]
        x, y = (np.asarray(static[n], float) for n in ("x", "y"))
        scale = image.pixel_scale
        for row in targets:
            steps = np.zeros(1)
            if row["transient"] == "trail":
                steps = np.linspace(-0.5, 0.5, 2001) * row["trail_length"] / scale
            angle = np.radians(np.nan_to_num(row["trail_angle"]))
            px, py = row["x"] + np.cos(angle) * steps, row["y"] + np.sin(angle) * steps
            away = np.hypot(px[:, None] - x, py[:, None] - y) * scale
            assert row["static_distance"] == pytest.approx(away.min(), abs=0.01)
            assert row["static_id"] == static["source_id"][np.argmin(away.min(axis=0))] or row["transient"] == "trail"
            here = light[int(np.floor(row["y"] + 0.5)), int(np.floor(row["x"] + 0.5))]
            assert np.isfinite(row["host_sb"]) == (here > 0)
            if here > 0:
                assert row["host_sb"] == pytest.approx(30 - 2.5 * np.log10(here / scale**2), abs=1e-3)
                on_light += 1
            number, near = number + 1, near + (row["static_distance"] < 1.13)
    # 35 real sources per arcmin2 at S/N 5: chance puts 3 of 72 points within one FWHM of one.
    assert number > 50 and on_light and near / number < 0.2


def test_only_the_visit_changes_and_by_the_light_of_the_truth(blocks):
    pulls = []
    for before, after, _, targets in injected(blocks):
        old, new = before.bands["g"], after.bands["g"]
        model = new.planes["MODEL"].astype(float)
        assert not before.templates and not after.templates and np.array_equal(new.planes["BASE"], old.science)
        photons = new.science.astype(float) - old.science - model
        lit = model > 1e-3
        pulls.append((photons[lit] / np.sqrt(model[lit] / old.gain)).std())
        if not (np.asarray(targets["injection_flag"]) & 2).any():
            assert model.sum() == pytest.approx(targets["flux_g"].sum(), rel=1e-3)
    assert np.mean(pulls) == pytest.approx(1, abs=0.03)


def test_extended_sources_are_told_from_stars(blocks):
    """Sizes of bright sources have two modes; the limit between them is in the gap."""
    patches = blocks[1]
    point = psf_half_light(patches[0][0].bands["g"].psf, patches[0][0].bands["g"].pixel_scale)
    rows = [t[(np.asarray(t["snr"]) > 100) & np.isfinite(t["hlr"])] for _, t in patches]
    ratio = np.concatenate([np.asarray(t["hlr"]) for t in rows]) / point
    gap = np.abs(ratio / EXTENDED - 1) < 0.07
    assert len(ratio) > 25 and gap.mean() < 0.15
    assert 0.2 < (ratio > EXTENDED).mean() < 0.7
