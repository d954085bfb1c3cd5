"""A study of a minute at most: synthetic populations, a synthetic "real" image, a few patches.

What the fetch and population rules would make is put where they would put it, so no network is needed.
"""

import json

import galsim
import numpy as np
import yaml
from astropy.io import fits
from astropy.table import Table
from blendimpact.data import catalogues
from blendimpact.populations.base import BANDS
from blendimpact.populations.supernova import build_supernovae

SCALE, ZERO_POINT, FWHM, SIGMA = 0.26, 30.0, 1.1, 3.0
CONFIG = {
    "study": "tiny",
    "chunk_size": 2,
    "bootstrap": 100,
    "measure": {"sky": {}},
    "cases": {
        "two_point": {
            "bands": ["i"],
            "stamp": 9.0,
            "patch": {"size": 90, "border": 24, "count": 3},
            "population": {"galaxies": {"mag_max": 26.0}},
            "scenarios": dict.fromkeys(
                ("shear", "shear_peaks", "ring", "sky", "sky_clustered", "photo_z", "photo_z_training")
            ),
        },
        "galaxies": {
            "image": "field.yaml",
            "stamp": 9.0,
            "patch": {"count": 2},
            "inject": {"per_patch": 4, "separation": 6, "mag": [21, 25]},
            "scenarios": {"simulated": None},
        },
        "crowded_fields": {"enabled": False},  # these have tests of their own
        "transients": {"enabled": False},
    },
    # scarlet 1 is on no package index: what happens without a deblender's package
    "comparison": {
        "deblenders": ["sep", "joint_fit", "scarlet"],
        "skies": {
            "smooth": {
                "case": "two_point",
                "shear": 0,
                "noise_pairs": False,
                "inject": None,
                "patch": {"size": 60, "count": 2},
            },
            "real": {"case": "galaxies", "patch": {"count": 2}},
        },
    },
}


def make_study(directory, **changes):
    """Make a study in ``directory`` (which is made) and return the path of its configuration.

    Parameters
    ----------
    directory : pathlib.Path
        Where Snakemake will run.
    **changes
        Keys at the top of the configuration, laid over it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _write_population(directory / "results" / "inputs")
    _write_field(directory / "field.fits")
    (directory / "field.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "field",
                "title": "a synthetic field",
                "band": "g",
                "file": "field.fits",
                "size": [300, 260],
                "pixel_scale": SCALE,
                "zero_point": ZERO_POINT,
                "gain": 50.0,
                "psf": {"kind": "moffat", "fwhm": FWHM, "beta": 3.0, "size": 31},
                "tiling": {"block": 100, "border": 24},
                "reference": "made by the tests",
            }
        )
    )
    path = directory / "study.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, **changes}))
    return path


def galaxies(count=2000, seed=1):
    """Return a table like that of `blendimpact.populations.hst_cosmos.build_galaxies`."""
    rng = np.random.default_rng(seed)
    i = np.sort(28.5 + np.log10(rng.uniform(1e-4, 1, count)) / 0.31)
    size = 0.5 * 10 ** (-0.064 * (i - 24)) * np.exp(0.3 * rng.standard_normal(count))
    table = Table({"galaxy": np.arange(count), "redshift": rng.uniform(0.1, 2, count)})
    for band in BANDS:
        table[f"mag_{band}"] = i if band == "i" else i + rng.normal(0.3, 0.3, count)
        table[f"bulge_fraction_{band}"] = rng.uniform(0, 0.6, count)
    for part, factor, n in (("bulge", 0.5, 4.0), ("disk", 1.0, 1.0)):
        table[f"hlr_{part}"] = factor * size
        table[f"q_{part}"] = rng.uniform(0.4, 1, count)
        table[f"n_{part}"] = n
    table["origin"] = "synthetic"
    table["template"] = np.arange(count)
    return catalogues.describe(table, {name: (None, name) for name in table.colnames})


def stars(count=300, seed=2):
    """Return a table like that of `blendimpact.populations.trilegal.build_stars`."""
    rng = np.random.default_rng(seed)
    i = np.sort(rng.uniform(18, 27, count))
    table = Table({f"mag_{band}": i + (0.0 if band == "i" else 0.2) for band in BANDS})
    return catalogues.describe(table, {name: ("mag", name) for name in table.colnames})


def tables(galaxies_of=None, stars_of=None):
    """Return what simulated sky is drawn from by default: made galaxies and stars, or those that are given."""
    made = (galaxies() if galaxies_of is None else galaxies_of), (stars() if stars_of is None else stars_of)
    return dict(zip(("hst_cosmos", "trilegal"), made))


def supernovae(path):
    """Write the series of a flat F_nu that is fainter by 0.05 mag per day from maximum; return its table."""
    wave, phase = 1000 + 50 * np.arange(481), -20 + 5 * np.arange(22)
    flux = 1e8 / wave[None, :] ** 2 * 10 ** (-0.4 * 0.05 * np.abs(phase[:, None]))
    hdu = fits.PrimaryHDU(flux.astype(np.float32))
    for k, start, step in ((1, 1000, 50), (2, -20, 5)):
        hdu.header[f"CRVAL{k}"], hdu.header[f"CDELT{k}"], hdu.header[f"CRPIX{k}"] = start, step, 1
    hdu.writeto(path)
    return build_supernovae(path)


def write_supernovae(inputs):
    """Put the receipt and the table of supernovae where the rules would."""
    for name in ("sncosmo", "population"):
        (inputs / name).mkdir(parents=True, exist_ok=True)
    (inputs / "sncosmo" / "receipt.json").write_text(json.dumps({"name": "sncosmo", "status": "ok", "files": {}}))
    catalogues.write(supernovae(inputs / "sncosmo" / "series.fits"), inputs / "population" / "supernova.parquet")


def _write_population(inputs):
    for name in ("pzflow", "fpfs", "skycatalogs"):
        (inputs / name).mkdir(parents=True, exist_ok=True)
        receipt = inputs / name / "receipt.json"
        receipt.write_text(json.dumps({"name": name, "status": "ok", "files": {}}))
    (inputs / "population").mkdir(exist_ok=True)
    for name, table in (("hst_cosmos", galaxies()), ("trilegal", stars())):
        path = inputs / "population" / f"{name}.parquet"
        catalogues.write(table, path)


def _write_field(path, shape=(260, 300), seed=3):
    """Write a FITS image of galaxies and stars with WCS and white noise."""
    rng = np.random.default_rng(seed)
    ny, nx = shape
    image = galsim.Image(nx, ny, scale=SCALE)
    psf = galsim.Moffat(beta=3.0, fwhm=FWHM)
    for mag, size, x, y in zip(
        rng.uniform(19, 25, 60), rng.uniform(0.2, 0.8, 60), rng.uniform(1, nx, 60), rng.uniform(1, ny, 60)
    ):
        source = galsim.Exponential(half_light_radius=size) if size > 0.3 else galsim.DeltaFunction()
        source = galsim.Convolve(source, psf) * 10 ** (-0.4 * (mag - ZERO_POINT))
        stamp = source.drawImage(scale=SCALE, center=galsim.PositionD(x, y))
        overlap = stamp.bounds & image.bounds
        image[overlap] += stamp[overlap]
    pixels = (image.array + SIGMA * rng.standard_normal(shape)).astype(np.float32)
    header = fits.Header(
        {
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CRPIX1": nx / 2,
            "CRPIX2": ny / 2,
            "CRVAL1": 60.0,
            "CRVAL2": -45.0,
            "CD1_1": -SCALE / 3600,
            "CD1_2": 0.0,
            "CD2_1": 0.0,
            "CD2_2": SCALE / 3600,
            "BUNIT": "count",
        }
    )
    fits.PrimaryHDU(pixels, header).writeto(path, overwrite=True)
