"""Distance from what has changed on the sky: points, lines, comets."""

import numpy as np
from astropy.table import Table
from blendimpact.data.transient_geometry import distance_from_changes
from blendimpact.ladder.difference_rows import CLEAR, static_sources
from patch_maker import make_patch


def test_points_lines_and_comets():
    changed = Table(
        {
            "x": [10.0, 50.0, 90.0],
            "y": [10.0, 50.0, 90.0],
            "trail_length": [np.nan, 8.0, np.nan],
            "trail_angle": [np.nan, 90.0, np.nan],
            "coma_radius": [np.nan, np.nan, 2.0],
            "tail_length": [np.nan, np.nan, 3.0],
        }
    )
    x, y = np.array([13.0, 50.0, 53.0, 50.0, 90.0]), np.array([14.0, 65.0, 55.0, 85.0, 95.0])
    found = distance_from_changes(changed, x, y, 0.2)
    assert np.allclose(found, [1.0, 0.0, 0.6, 3.0, 1.0 - 3.0])
    assert np.isinf(distance_from_changes(changed[:0], x, y, 0.2)).all()
    assert distance_from_changes(changed["x", "y"], 13.0, 14.0, 0.2) == 1.0


def test_static_sources_are_away_from_all_that_changes():
    patch = make_patch({"r": np.zeros((100, 100))})
    scale = patch.bands["r"].pixel_scale
    far = (CLEAR + 0.5) / scale
    truth = Table(
        {
            "source_id": [1, 2, 3, 4],
            "x": [20.0, 20.0 + far, 60.0, 60.0 + far],
            "y": [50.0] * 4,
            "snr": [50.0] * 4,
            "injection_id": [-1, -1, 0, -1],
            "flux_r": [1.0] * 4,
            "trail_length": [np.nan, np.nan, 1.5, np.nan],
            "trail_angle": [np.nan, np.nan, 0.0, np.nan],
            "variable": [True, False, False, False],
        }
    )
    assert static_sources(truth, patch, "r", scale)["source_id"].tolist() == [2]
    truth["variable"] = False
    truth["trail_length"] = np.nan
    assert static_sources(truth, patch, "r", scale)["source_id"].tolist() == [1, 2, 4]
    truth["x"][1] = 20 + (CLEAR - 0.5) / scale
    truth["variable"][0] = True
    assert static_sources(truth, patch, "r", scale)["source_id"].tolist() == [4]
