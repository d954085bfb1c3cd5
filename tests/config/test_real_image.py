"""Definitions of real images: what is needed, what is refused, and how they are cut into blocks."""

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.wcs import WCS
from blendimpact.config import study
from blendimpact.config.files import CONFIG_DIR
from blendimpact.config.registry import load_inputs
from blendimpact.config.tiling import blocks
from blendimpact.data.packages import members
from blendimpact.errors import StudyError

BASE = CONFIG_DIR / "config.yaml"


@pytest.fixture
def overlay(tmp_path):
    """Return a function that lays an overlay over the study and checks it."""

    def check(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return study.validate(study.load_config([path]), [BASE, path])

    return check


def test_blocks_tile_the_image_evenly():
    image = study.load_image("des_dr2_g")
    patch = {"size": 300, "border": 36}
    found = blocks(image, patch)
    assert len(found) == len(set(found)) == 13 * 13
    nx, ny = image["size"]
    for x, y in found:
        assert 36 <= x <= nx - 336 and 36 <= y <= ny - 336
        assert (x - 36) % 300 == 0 and (y - 36) % 300 == 0
    # any beginning of the list is spread over the image: no quadrant is left out or crowded
    for count in (16, 30, 60):
        part = found[:count]
        quadrants = [
            sum((x > nx / 2) == right and (y > ny / 2) == up for x, y in part)
            for right in (False, True)
            for up in (False, True)
        ]
        assert min(quadrants) >= count / 4 / 2
    region = {**image, "tiling": {**image["tiling"], "region": [1000, 2000, 500, 1200]}}
    assert blocks(region, patch) and all(1000 <= x <= 1664 and 500 <= y <= 864 for x, y in blocks(region, patch))
    assert blocks(image, {"size": 5000, "border": 0}) == []


def image_file(folder, **changes):
    """Write the definition of a user's own image with changes; return its path."""
    data = {
        "name": "my_image",
        "title": "t",
        "band": "r",
        "file": "mine.fits",
        "size": [900, 800],
        "pixel_scale": 0.2,
        "zero_point": 27.0,
        "gain": 3.0,
        "psf": {"kind": "measured"},
        "reference": "ours",
        **changes,
    }
    path = folder / "my_image.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in data.items() if v is not None}))
    return path


def test_an_image_of_the_users_own(tmp_path, overlay):
    path = image_file(tmp_path)
    image = study.load_image(path)
    assert image["tiling"] == {"block": 300, "border": 36, "region": None}
    assert image["variance"]["kind"] == "measured" and image["mask"] is None and image["hdu"] == 0
    config = overlay(f"cases: {{galaxies: {{image: {path}, bands: [r], shape_band: r}}}}")
    assert study.case_settings(config, "galaxies")["patch"]["count"] == 4


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"file": None}, "needs `file`"),
        ({"input": "des_dr2_g"}, "needs `file`"),
        ({"zero_point_key": "MAGZERO"}, "one of `zero_point`"),
        ({"gain_key": "GAIN"}, "gain"),
        ({"hdu": -1}, "EXTNAME"),
        ({"mask": {"hdu": True, "meaning": []}}, "EXTNAME"),
        ({"file": None, "input": "x", "member": "y", "size": None}, "the key 'size' is missing"),
        ({"psf": {"kind": "moffat", "fwhm": 1.0}}, "`beta`"),
        ({"psf": {"kind": "pixels"}}, "measured, file, moffat"),
        ({"size": [900]}, "at least 2"),
        ({"size": [300, 300]}, "no block fits"),
        ({"mask": {"member": "m.fits", "meaning": []}}, "needs an `input`"),
        ({"mask": {"file": "m.fits"}}, "meaning"),
        ({"variance": {"file": "v.fits"}}, "what the plane holds"),
        ({"name": "yours"}, "name of its file"),
        ({"zeropoint": 27}, "did you mean 'zero_point'"),
    ],
)
def test_a_wrong_image_file_says_what_is_wrong(tmp_path, changes, says):
    path = image_file(tmp_path, **changes)
    with pytest.raises(StudyError) as error:
        study.load_image(path)
    assert says in str(error.value) and "my_image.yaml" in str(error.value)


def test_the_des_image_is_fetched_and_acknowledged():
    image = study.load_image("des_dr2_g")
    entry = load_inputs()[image["input"]]
    assert image["member"] in members(entry) and image["mask"]["member"] in members(entry)
    assert entry["optional"]
    assert "Dark Energy Survey" in image["acknowledgement"]


@pytest.mark.real
def test_the_des_image_is_as_its_definition_says():
    image = study.load_image("des_dr2_g")
    folder = CONFIG_DIR.parent / "results/inputs" / image["input"]
    if not (folder / image["member"]).is_file():
        pytest.skip("the DES image has not been fetched: snakemake results/inputs/des_dr2_g/receipt.json")
    header = fits.getheader(folder / image["member"])
    assert [header["NAXIS1"], header["NAXIS2"]] == image["size"]
    assert header["MAGZERO"] == image["zero_point"] and header["BAND"].strip() == image["band"]
    assert header[image["gain_key"]] > 1 and header[image["saturation_key"]] > 1
    area = abs(np.linalg.det(WCS(header).pixel_scale_matrix))
    assert area**0.5 * 3600 == pytest.approx(image["pixel_scale"], rel=1e-4)
    mask = fits.getdata(folder / image["mask"]["member"])
    assert set(np.unique(mask)) == {0, *(m["value"] for m in image["mask"]["meaning"])}
    # what is masked are cores of bright stars: some hundred standard deviations above the sky
    science = fits.getdata(folder / image["member"])
    assert (mask > 0).sum() == 11191
    assert np.median(science[mask > 0]) > 100 * 1.76
