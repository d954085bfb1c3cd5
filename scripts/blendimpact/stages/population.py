"""Join the fetched catalogues into the galaxies and stars that are drawn."""

import os
from pathlib import Path

from astropy.io import fits

from ..data import catalogues
from ..populations.isochrone import build_isochrone
from ..populations.population import build_galaxies, build_stars
from ..populations.real_comet import build_coma
from ..populations.supernovae import build_supernovae
from ..sky.epochs import build_visits


def run(inputs, galaxies_out, stars_out, meta=None):
    """Build both samples from ``inputs``: folders by name, "pzflow" and "skycatalogs"."""
    files = sorted(Path(inputs["skycatalogs"]).glob("*.parquet"))
    galaxies = build_galaxies(Path(inputs["pzflow"]) / "galaxy-data.pkl", files)
    catalogues.write(galaxies, galaxies_out, meta)
    catalogues.write(build_stars(files), stars_out, meta)
    print(f"{len(galaxies)} galaxies")


def run_isochrone(folder, out, meta=None):
    """Build the stars of one age from the folder of the input "artpop"."""
    (path,) = Path(folder).glob("*.pkl")
    catalogues.write(build_isochrone(path), out, meta)


def run_visits(folder, out, meta=None):
    """Build the table of visits from the folder of the input "sorcha"."""
    (path,) = Path(folder).glob("*.db")
    catalogues.write(build_visits(path), out, meta)


def run_supernovae(folder, out, meta=None):
    """Build the table of supernovae from the folder of the input "sncosmo"."""
    (path,) = Path(folder).glob("*.fits")
    catalogues.write(build_supernovae(path), out, meta)


def run_coma(folder, out, cards=None, missing=None):
    """Cut the stamp of a coma from the folder of the input "comet_9p"; ``missing``: why the frame is not to be had."""
    if missing:
        hdu = fits.PrimaryHDU()
        hdu.header["ABSENT"] = missing
    else:
        (path,) = Path(folder).glob("*.fits")
        hdu = build_coma(path)
    hdu.header.update(cards or {})
    hdu.writeto(f"{out}.part", overwrite=True)
    os.replace(f"{out}.part", out)
