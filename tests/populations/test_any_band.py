"""Transients in a band that nothing has colours in: a narrow band, or one of another telescope."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import sky_maker
from blendimpact.populations.transients import Transients
from blendimpact.sky.injection import inject
from target_maker import draw

BAND = "F200W"
SETTINGS = {
    "case": "transients",
    "scenario": "mine",
    "sky": "adopt",
    "bands": [BAND],
    "shape_band": BAND,
    "truth_snr": 5,
    "match_radius": 1.0,
    "inject": {
        "population": "transients",
        "per_patch": 6,
        "separation": 7,
        "snr": [20, 60],
        "kinds": {"hostless": 1, "trail": 1},
    },
}


def in_band(patch, truth):
    """The patch and its truth in the band `BAND`."""
    patch = replace(patch, bands={BAND: replace(patch.bands["g"], band=BAND)})
    truth = truth.copy()
    for name in [n for n in truth.colnames if n.endswith("_g")]:
        truth.rename_column(name, f"{name[:-2]}_{BAND}")
    truth.meta = {key: value.replace('"g"', f'"{BAND}"') for key, value in truth.meta.items()}
    return patch, truth


def test_hostless_ones_and_trails_are_drawn_by_their_signal_to_noise():
    patch, truth = in_band(*sky_maker.real_patch())
    rows = draw(SETTINGS, patch, truth, 5, "transients", 7, 0, supernova="has no such band")
    assert set(rows["transient"]) == {"hostless", "trail"} and np.isfinite(rows[f"mag_{BAND}"]).all()
    _, table = inject(patch, truth, rows, 5, "transients", SETTINGS)
    targets = table[np.asarray(table["role"]) == "target"]
    still = targets[targets["transient"] == "hostless"]
    assert len(targets) >= 3 and ((still["snr"] > 15) & (still["snr"] < 65)).all()


@pytest.mark.parametrize(
    "bands, kinds, refused",
    [
        ([BAND], {"hostless": 1, "trail": 1}, None),
        (["r"], {"supernova": 1, "comet": 1}, None),
        ([BAND], {"supernova": 1, "trail": 1}, "kinds supernova have no colour in F200W"),
        ([BAND, "r"], {"hostless": 1}, "several bands have no colour in F200W"),
    ],
)
def test_kinds_that_need_colours_are_refused_with_those_that_do_not(bands, kinds, refused):
    inject, patch = SimpleNamespace(per_patch=1, separation=5, beside=None), SimpleNamespace(size=None, visits=1)
    settings = SimpleNamespace(bands=bands, shear=0, inject=inject, patch=patch, pixel_scale=0.2)
    found = [p for p in Transients(kinds=kinds, snr=[5, 50]).problems(settings) if p.key == ("bands",)]
    assert bool(found) == bool(refused)
    if refused:
        assert refused in found[0].what and "hostless" in found[0].remedy
