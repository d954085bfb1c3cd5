"""The stages that train an estimator and apply it: from files to files, whatever the chunks."""

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from blendimpact.data import catalogues
from blendimpact.ladder.redshifts import FRIENDS, POINT_ESTIMATE, REDSHIFT_COLUMNS, Frozen
from blendimpact.stages import redshifts, train
from test_estimators import galaxies

BANDS = ["g", "r", "i"]
SETTINGS = {
    "bands": BANDS,
    "shape_band": "i",
    "truth_snr": 5,
    "photo_z": {"estimator": "neighbours", "fluxes": "matched", "limit": 25.3},
}


def written(folder, seed, patches):
    """Write truth and measurements of ``patches`` of ten galaxies each, 20 arcsec apart; return their paths."""
    folder.mkdir(parents=True)
    number = np.repeat(np.arange(8), 10)
    light, z = galaxies(80, seed=seed)
    keep = np.isin(number, patches)
    ids = {"patch": number[keep], "twin": np.full(keep.sum(), "zero"), "source_id": np.tile(np.arange(1, 11), 8)[keep]}
    n = keep.sum()
    truth = Table({**ids, "redshift": z[keep], "role": np.full(n, "target"), "kind": np.full(n, "galaxy")})
    truth["mag_i"], truth["snr"], truth["flux_i"] = np.full(n, 24.0), np.full(n, 50.0), light.fluxes[keep, 2]
    truth["x"], truth["y"] = 100.0 * ids["source_id"], np.full(n, 50.0)
    truth.meta["pixel_scale"] = 0.2
    rows = [
        pd.DataFrame(
            {
                "patch": ids["patch"],
                "twin": "zero",
                "rung": rung,
                "det_id": ids["source_id"],
                "band": band,
                "flux_matched": (1.0 + 0.01 * k) * light.fluxes[keep, b],
                "flux_matched_err": np.nan if rung == "truth" else 0.1,
            }
        )
        for k, rung in enumerate(("truth", "isolated", "oracle"))
        for b, band in enumerate(BANDS)
    ]
    measured = Table.from_pandas(pd.concat(rows))
    for table in (truth, measured):
        catalogues.describe(table, {name: (None, "made") for name in table.colnames})
    catalogues.write(truth, folder / "truth.parquet")
    catalogues.write_folder({"measurements": measured}, folder / "measurements")
    return folder / "truth.parquet", folder / "measurements"


@pytest.fixture
def trained(tmp_path):
    parts = [written(tmp_path / f"training{k}", 1, these) for k, these in enumerate((range(4), range(4, 8)))]
    truth, measurements = zip(*parts)
    path = tmp_path / "training.parquet"
    train.run(SETTINGS, {}, list(truth), list(measurements), path)
    return path


def test_every_object_of_every_rung_gets_a_redshift_in_any_cut_of_the_work(trained, tmp_path):
    frozen = Frozen.of(catalogues.read(trained))
    assert frozen.count == 80 and len(frozen.edges) == 4

    def run(name, patches):
        truth, measurements = written(tmp_path / name, 2, patches)
        redshifts.run(SETTINGS, {}, truth, measurements, trained, tmp_path / f"{name}.parquet")
        return catalogues.read(tmp_path / f"{name}.parquet", REDSHIFT_COLUMNS).to_pandas()

    whole = run("whole", range(8))
    assert set(whole["rung"]) == {"truth", "isolated", "oracle", FRIENDS} and len(whole) == 4 * 80
    assert np.isfinite(whole[POINT_ESTIMATE]).all() and (whole["n_bands"] == 3).all()
    halves = pd.concat([run("first", range(4)), run("second", range(4, 8))])
    order = ["patch", "rung", "det_id"]
    pd.testing.assert_frame_equal(*(t.sort_values(order).reset_index(drop=True) for t in (whole, halves)))
    # Nobody is within an arcsec: a catalogue blend of one is the isolated galaxy.
    alone, friends = (whole[whole["rung"] == rung].sort_values(order)[POINT_ESTIMATE] for rung in ("isolated", FRIENDS))
    np.testing.assert_array_equal(alone, friends)
