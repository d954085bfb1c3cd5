"""Cut-outs of HSC in grizy, 48 to 191 pixels wide (real data, skipped where absent)."""

import os
from pathlib import Path

import numpy as np
import pytest
import sky_maker
import yaml
from astropy.io import fits
from blendimpact.config.real_image import load_image
from blendimpact.data.images import AB_NANOJANSKY
from blendimpact.sky.adopt.checks import check_images
from blendimpact.sky.adopt.image import adopt
from blendimpact.sky.adopt.patches import adopt_patches

pytestmark = pytest.mark.real
FOLDER = (
    Path(os.environ.get("BLENDIMPACT_REALDATA", Path(__file__).resolve().parents[3] / "shared" / "realdata"))
    / "hsc_hst_scarlet"
)
BANDS = list("grizy")


@pytest.fixture
def cut_out(tmp_path):
    """Return a function that writes planes by band as extensions of one file, and loads the entry of them."""
    if not FOLDER.is_dir():
        pytest.skip(f"no {FOLDER}: set BLENDIMPACT_REALDATA to the folder that holds hsc_hst_scarlet")

    def make(planes, **keys):
        path = tmp_path / "hsc.fits"
        header = sky_maker.tan_header(planes["SCI"].shape[1:], scale=0.168, parity=-1)
        hdus = [
            fits.ImageHDU(array, header if what == "SCI" else None, f"{what}{band.upper()}")
            for what, cube in planes.items()
            for band, array in zip(BANDS, cube, strict=True)
        ]
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
        bands = {b: {"hdu": f"SCI{b.upper()}", "psf": {"hdu": f"PSF{b.upper()}"}} for b in BANDS}
        if "VAR" in planes:
            for band, entry in bands.items():
                entry["variance"] = {"kind": "variance", "hdu": f"VAR{band.upper()}"}
        shared = {"name": "hsc", "title": "HSC", "file": str(path), "zero_point": 27.0, "gain": 3.0, "reference": "HSC"}
        shared |= {"psf": {"kind": "file", "file": str(path)}, "bands": bands, **keys}
        (tmp_path / "hsc.yaml").write_text(yaml.safe_dump(shared, sort_keys=False))
        entry = str(tmp_path / "hsc.yaml")
        check_images([{"image": entry, "sky": "adopt", "bands": BANDS}])
        return adopt(load_image(entry), None)

    return make


def test_a_blend_of_48_by_58_pixels_is_one_block(cut_out):
    with np.load(FOLDER / "hsc_cosmos_35.npz") as data:
        planes = {"SCI": data["images"], "PSF": data["psfs"].astype(np.float32), "VAR": data["variance"]}
        centres = data["catalog"]
    adopted = cut_out(planes, sky={"mesh": 32, "grow": 0.3}, tiling={"block": 24, "border": 12})
    for band, report in adopted.report["bands"].items():
        assert report["noise"]["given_over_measured_variance"] == pytest.approx(1, abs=0.25), band
        assert 0.4 < report["psf"]["fwhm_arcsec"] < 0.8
    ((patch, truth),) = adopt_patches(adopted, {"bands": BANDS, "max_masked": 0.1}, 1, "galaxies", "hsc")
    assert list(patch.bands) == BANDS and patch.shape == (48, 48)
    owners = {int(adopted.segmentation[int(y), int(x)]) for x, y in centres}
    assert 0 not in owners and len(truth) >= 2  # all of the published centres lie on footprints


def test_a_galaxy_of_low_surface_brightness_is_found_in_all_bands(cut_out):
    with fits.open(FOLDER / "lsbg_hsc_grizy.fits") as hdus:
        planes = {"SCI": np.array(hdus[0].data), "PSF": np.array(hdus[1].data)}
    adopted = cut_out(planes, sky={"mesh": 64, "grow": 0.7}, tiling={"block": 60, "border": 24})
    depths = {band: report["depth"]["point_source_depth"] for band, report in adopted.report["bands"].items()}
    assert depths["g"] > 26 > depths["i"] > depths["y"] > 23.5
    rows = list(adopt_patches(adopted, {"bands": BANDS, "max_masked": 0.1}, 1, "galaxies", "hsc"))
    assert len(rows) == 4
    g, z = (np.asarray(adopted.bands[b].objects["flux"], float) for b in "gz")
    bright = np.asarray(adopted.objects["flux"] / adopted.objects["flux_err"]) > 30
    assert bright.any() and (z[bright] > g[bright]).all()  # galaxies are red
    assert all(one.zero_point == AB_NANOJANSKY for one in adopted.bands.values())
