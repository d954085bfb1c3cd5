"""An image in three bands, and a small cut-out of one, run from their files to the board."""

import band_maker
import numpy as np
import pytest
import yaml
from blendimpact.data import catalogues
from harness import run_snakemake

pytestmark = pytest.mark.slow
OFF = {name: {"enabled": False} for name in ("two_point", "crowded_fields", "transients")}
INJECT = {"population": "sersic", "mag": [20, 23], "counts_slope": 0, "separation": 6, "beside": None}


@pytest.fixture
def study(tmp_path):
    """A folder with two images, their entries, and a study with a scenario for each."""
    small = {"name": "small", "tiling": {"block": 32, "border": 14}, "file": str(tmp_path / "small.fits")}
    band_maker.write_one(tmp_path / "mine.fits", band_maker.make()[0])
    band_maker.write_one(tmp_path / "small.fits", band_maker.make((60, 64), pitch=200, galaxies=3)[0])
    for entry in (band_maker.entry(tmp_path), band_maker.entry(tmp_path, **small)):
        (tmp_path / f"{entry['name']}.yaml").write_text(yaml.safe_dump(entry, sort_keys=False))
    case = {
        "image": "./mine.yaml",
        "bands": ["g", "r", "i"],
        "shape_band": "r",
        "stamp": 7.0,
        "patch": {"count": 2},
        "rungs": ["isolated", "deblended", "pipeline"],
        "inject": {**INJECT, "per_patch": 5},
    }
    tiny = {"image": "./small.yaml", "patch": {"count": 1}, "inject": {**INJECT, "per_patch": 1}}
    case["scenarios"] = {"simulated": None, "small": tiny}
    study = {"study": "bands", "bootstrap": 100, "cases": {**OFF, "galaxies": case}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    return tmp_path


def test_images_in_several_bands_run_from_their_files_to_the_board(study):
    done = run_snakemake(study, "--cores", 2, "--configfile", "study.yaml")
    assert done.returncode == 0, done.stdout[-6000:]
    for scenario, patches in (("fiducial", 2), ("small", 1)):
        folder = study / "results/bands/galaxies" / scenario
        truth = catalogues.read(folder / "inject/000.truth.parquet").to_pandas()
        targets = truth[truth["role"] == "target"]
        assert truth["patch"].nunique() == patches and len(targets) >= patches
        assert np.allclose(targets["mag_g"], targets["mag_i"])  # of colour 0
        measured = catalogues.read(folder / "measure/000/measurements.parquet").to_pandas()
        assert set(measured["band"]) == {"g", "r", "i"} and np.isfinite(measured["flux_kron"]).any()
        # the light of each band is that of the truth, to the noise, where nothing is beside the target
        alone = measured[measured["rung"] == "isolated"]
        both = targets.merge(
            alone, left_on=["patch", "source_id"], right_on=["patch", "det_id"], suffixes=("_true", "")
        )
        for band, rows in both.groupby("band"):
            assert np.median(rows["flux_kron"] / rows[f"flux_{band}"]) == pytest.approx(0.95, abs=0.1), (scenario, band)
    foms = catalogues.read(study / "results/bands/foms.parquet").to_pandas()
    assert set(foms["scenario"]) == {"fiducial", "small"}
