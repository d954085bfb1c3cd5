"""A real pair, DECam repeats with an apparent transient, adopted and differenced (real data, skipped where absent).

`pytest -s` prints residuals by surface brightness and the density of spurious candidates.
"""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from blendimpact.data.images import PatchFile, PatchWriter
from blendimpact.data.light import real_light
from blendimpact.search.filters import forced, search
from blendimpact.search.own_noise import own_noise
from blendimpact.sky.adopt.image import adopt
from blendimpact.sky.adopt.patches import adopt_patches
from blendimpact.sky.blends import false_alarm_density
from blendimpact.sky.injection import inject
from blendimpact.subtract import SUBTRACTORS
from target_maker import draw
from test_subtract_real import FOLDER, GAIN, SCALE, X, Y, coadd

pytestmark = pytest.mark.real
SETTINGS = {
    "case": "transients",
    "scenario": "decam",
    "bands": ["i"],
    "shape_band": "i",
    "truth_snr": 5,
    "patch": {},
    "match_radius": 1.0,
    "inject": {
        "population": "transients",
        "kinds": {"trail": 1, "comet": 1},
        "per_patch": 6,
        "separation": 8,
        "snr": [20, 60],
    },
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The pair as a user would give it: two files, each with its zero point, gain and PSF; one block."""
    if not FOLDER.is_dir():
        pytest.skip(f"no {FOLDER}: set BLENDIMPACT_REALDATA to the folder that holds diffim_decam")
    folder, entries = tmp_path_factory.mktemp("decam"), []
    for observation in ("04", "18"):
        image = coadd(observation)
        path = folder / f"{observation}.fits"
        fits.PrimaryHDU(image.science, fits.getheader(FOLDER / f"DEC-OBS{observation}a.mini.fits")).writeto(path)
        entries.append(
            {
                "file": str(path),
                "hdu": 0,
                "zero_point": 30.0,
                "gain": GAIN,
                "sky": {"mesh": 64},
                "psf": {**image.psf_model, "size": 31},
                "variance": {"kind": "measured"},
                "mask": None,
            }
        )
    spec = {
        "name": "decam",
        "band": "i",
        "size": [256, 256],
        "pixel_scale": SCALE,
        **entries[0],
        "template": entries[1],
        "tiling": {"block": 192, "border": 32, "region": None},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adopted = adopt(spec, folder)
        ((patch, truth),) = adopt_patches(adopted, SETTINGS, 1, "transients", "decam")
    with PatchWriter(folder / "patch.fits") as writer:
        writer.write(patch)
    with PatchFile(folder / "patch.fits") as file:
        return adopted, file.read(0, "zero"), truth


def test_what_the_report_says_of_the_pair(pair):
    """Half a pixel of shift and 6 % in flux on one nominal zero point: what the stars of both images show."""
    report = pair[0].report["template"]["pair"]
    assert report["matched"] >= 7
    assert np.hypot(*report["shift"]) == pytest.approx(0.54, abs=0.1)
    assert report["flux_ratio"] == pytest.approx(1.06, abs=0.03)
    assert max(report["scatter"]) < 0.3


@pytest.mark.parametrize("name, snr, spurious, core", [("zogy", 15, 1.5, 1000), ("alard_lupton", 20, 3.5, 40)])
def test_the_transient_the_residuals_and_the_spurious_density(pair, name, snr, spurious, core):
    """The transient stands out; residuals fall to the noise below 22 mag/arcsec2; spurious ones by Kaiser's rate."""
    _, patch, truth = pair
    science, template = patch.bands["i"], patch.templates["i"]
    white = SUBTRACTORS.create(name, {}).subtract(science, template)
    difference = own_noise(white)
    found = search(difference, 5)
    near = np.hypot(found["x"] - X, found["y"] - Y) < 2
    assert near.sum() == 1 and found["snr"][near][0] > 0.9 * snr and forced(difference, [X], [Y])["snr"][0] > snr

    light = real_light(science.planes["BASE"], science.planes["SEG"])
    with np.errstate(divide="ignore"):
        brightness = science.zero_point - 2.5 * np.log10(light / SCALE**2)
    yy, xx = np.indices(light.shape)
    away = np.hypot(xx - X, yy - Y) > 6
    chi2 = {}
    for low, high in ((0, 20), (20, 21), (21, 22), (22, 23), (23, 25)):
        chi2[high], number = difference.chi2((brightness >= low) & (brightness < high) & away)
        print(f"{name}: {low}-{high} mag/arcsec2: chi2 {chi2[high]:.2f} in {number} pixels")
    assert chi2[25] == pytest.approx(1, abs=0.3) and chi2[23] < 2 and chi2[22] < 5  # footprints of hosts
    assert chi2[22] < chi2[21] < chi2[20] < core  # cores of stars: registration and PSF, not noise

    bright = np.asarray(truth["snr"]) > 10
    distance = [np.hypot(xx - x, yy - y) for x, y in zip(truth["x"][bright], truth["y"][bright])]
    use = difference.good & (np.min([*distance, np.hypot(xx - X, yy - Y)], axis=0) > 12)
    area = use.sum() * SCALE**2 / 3600
    counts = {}
    for own, made in ((False, white), (True, difference)):
        table, expected = search(made, 3), 2 * use.sum() * false_alarm_density(3, made.alarm_sigma())
        rows, columns = (np.clip(np.floor(np.asarray(table[n]) + 0.5).astype(int), 0, 255) for n in ("y", "x"))
        counts[own] = int(use[rows, columns].sum()) / expected
        print(
            f"{name}: |S/N| > 3{', own noise' if own else ''}: {use[rows, columns].sum()} in {area:.2f} arcmin2 of "
            f"blank sky, Kaiser {expected:.1f}"
        )
    # The images are resampled medians: their noise, taken for white, gives 2 to 4 times as many.
    assert counts[False] > 1.5
    assert 0.4 < counts[True] < spurious


def test_injected_into_the_pair(pair):
    """Trails and comets of known light on the real visit: added exactly, the template as it was."""
    _, patch, truth = pair
    rows = draw(SETTINGS, patch, truth, 3, "transients", 0, 0)
    after, table = inject(patch, truth, rows, 3, "transients", SETTINGS)
    targets = table[np.asarray(table["role"]) == "target"]
    assert len(targets) >= 4 and np.isfinite(targets["static_distance"]).all()
    assert np.array_equal(after.templates["i"].science, patch.templates["i"].science)
    added = after.bands["i"].planes["MODEL"].sum(dtype=float)
    assert added == pytest.approx(np.asarray(targets["flux_i"]).sum(), rel=2e-3)
