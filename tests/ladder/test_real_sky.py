"""The sky on a real image: the exact child has what the injection does to the estimate, and nothing else of it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import sky_maker
from astropy.table import Table
from blendimpact.ladder.image import ImageLadder
from blendimpact.measure.sky import estimate_sky
from blendimpact.sky.injection import inject
from measured import asked

SETTINGS = {
    "case": "galaxies",
    "scenario": "fiducial",
    "sky": "adopt",
    "bands": ["g"],
    "shape_band": "g",
    "match_radius": 1.0,
    "truth_snr": 0,
    "stamp": 6.0,
    "detector": "sep",
    "deblender": "none",
    "measure": {**asked(), "sky": {"mesh": 12.0}},
}
NONE = Table({"det_id": np.empty(0, int), "x": np.empty(0), "y": np.empty(0)})
LINKS = Table({"source_id": np.empty(0, int), "det_id": np.empty(0, int)})


def children(patch, truth, rows):
    """Inject sources (`sky_maker.sources`), estimate the sky as the study does; return exact and oracle, the skies."""
    out, known = inject(patch, truth, sky_maker.sources(patch, rows), 1, "galaxies", SETTINGS)
    sky = estimate_sky(out, SETTINGS["measure"]["sky"])
    data = SimpleNamespace(patch=out, truth=known, sky=sky, detections=NONE, assignments=LINKS)
    ladder = ImageLadder(SETTINGS, 1)
    made = ladder.children(data, ladder.scene(data), {})
    before = ladder.estimated(data)["base_sky"]["g"]
    return made["exact"][0](), made["oracle"][0](), sky["g"] - before, before


def test_what_injects_no_light_changes_no_sky():
    """A target of magnitude 39.9 leaves every pixel as it was to 1e-5: the sky term is 0, though the sky is not."""
    patch, truth = sky_maker.real_patch()
    exact, oracle, change, before = children(patch, truth, [{"x": 84.0, "y": 75.0, "mag": 39.9}])
    assert np.abs(before).max() > 0.01 and np.abs(change).max() < 1e-5
    assert exact.stamps == pytest.approx(oracle.stamps, abs=1e-5) and len(exact.stamps) == 1


def test_the_exact_child_has_the_change_of_the_sky_by_the_injection():
    patch, truth = sky_maker.real_patch()
    exact, oracle, change, _ = children(patch, truth, [{"x": 84.0, "y": 75.0, "mag": 20.0, "half_light_radius": 2.0}])
    y, x, side = exact.y0[0], exact.x0[0], exact.stamps.shape[-1]
    assert change.max() > 0.01  # light that is not masked raises the estimate
    assert exact.stamps[0, 0] - oracle.stamps[0, 0] == pytest.approx(change[y : y + side, x : x + side], abs=1e-3)


def test_the_change_of_the_sky_is_the_same_in_other_units():
    """Counts times 8, gain and zero point to match: all children are 8 times as bright, and nothing else changes."""
    patch, truth = sky_maker.real_patch()
    band = patch.bands["g"]
    other = replace(
        band,
        science=8 * band.science,
        variance=64 * band.variance,
        gain=band.gain / 8,
        zero_point=band.zero_point + 2.5 * np.log10(8),
        planes={**band.planes, "BASE": 8 * band.planes["BASE"]},
    )
    scaled = truth.copy()
    scaled["flux_g"] *= 8
    rows = [{"x": 84.0, "y": 75.0, "mag": 20.0, "half_light_radius": 2.0}]
    one = children(patch, truth, rows)
    eight = children(replace(patch, bands={"g": other}), scaled, rows)
    assert one[2].any()
    for k in (0, 1):
        assert eight[k].stamps / 8 == pytest.approx(one[k].stamps, rel=1e-4, abs=2e-3)
    assert eight[2] / 8 == pytest.approx(one[2], abs=1e-4)


def test_only_what_is_new_on_a_real_image_is_spurious():
    """Three stars that no list has, two of them there before injection, and one source that is injected."""
    patch, truth = sky_maker.real_patch()
    old, new = [(30.0, 110.0), (130.0, 40.0)], [(100.0, 20.0)]
    science = patch.bands["g"].science.copy()
    for x, y in old:
        sky_maker.draw(science, sky_maker.psf_at(0, 0, (1, 1)).withFlux(3e3), x, y)
    patch.bands["g"] = replace(patch.bands["g"], science=science, planes={**patch.bands["g"].planes, "BASE": science})
    out, known = inject(
        patch, truth, sky_maker.sources(patch, [{"x": 84.0, "y": 75.0, "mag": 19.0}]), 1, "galaxies", SETTINGS
    )
    science = out.bands["g"].science.copy()
    for x, y in new:
        sky_maker.draw(science, sky_maker.psf_at(0, 0, (1, 1)).withFlux(3e3), x, y)
    out.bands["g"] = replace(out.bands["g"], science=science)
    ladder = ImageLadder({**SETTINGS, "truth_snr": 5}, 1)
    found = ladder.detect(
        SimpleNamespace(patch=out, truth=known, sky=estimate_sky(out, SETTINGS["measure"]["sky"]))
    ).detections
    for outcome, places in (("unlisted", old), ("spurious", new), ("isolated", [(84.0, 75.0)])):
        for x, y in places:
            assert found["outcome"][np.argmin(np.hypot(found["x"] - x, found["y"] - y))] == outcome
    assert len(found) > 50 and list(found["outcome"]).count("spurious") <= 3  # noise that the sky's change brings


def test_the_detector_searches_the_image_before_injection_beside_its_own_sky():
    """Each detection there stands for one after injection, the nearest, whatever else lies within the radius."""
    patch, truth = sky_maker.real_patch()
    out, known = inject(
        patch, truth, sky_maker.sources(patch, [{"x": 84.0, "y": 75.0, "mag": 17.0}]), 1, "galaxies", SETTINGS
    )
    base, seen = out.bands["g"].planes["BASE"], []
    ladder = ImageLadder(SETTINGS, 1)
    ladder.finder = SimpleNamespace(
        name="other", positions=lambda *given: seen.append(given) or ([20.0, 60.0], [20.0, 60.0])
    )
    data = SimpleNamespace(patch=out, truth=known, sky=estimate_sky(out, SETTINGS["measure"]["sky"]))
    found = np.array([(20.5, 20.0), (20.0, 20.1), (60.0, 64.0), (90.0, 90.0)])
    assert ladder._found_before(data, found, 3.0).tolist() == [False, True, False, False]
    assert ladder._found_before(data, found[:0], 3.0).tolist() == []
    (there, sky), _ = seen
    assert np.array_equal(there.bands["g"].science, base)
    assert np.array_equal(sky["g"], estimate_sky(there, SETTINGS["measure"]["sky"])["g"])
    assert not np.array_equal(sky["g"], data.sky["g"])
    ladder.finder.name = "truth"
    assert ladder._found_before(data, found, 3.0) is None
