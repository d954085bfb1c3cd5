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


def run(receipts, galaxies_out, stars_out, meta=None):
    """Build the samples of galaxies and stars from the ``receipts`` of the inputs "pzflow" and "skycatalogs"."""
    pzflow, skycatalogs = (Path(receipt).parent for receipt in receipts)
    files = sorted(skycatalogs.glob("*.parquet"))
    galaxies = build_galaxies(pzflow / "galaxy-data.pkl", files)
    catalogues.write(galaxies, galaxies_out, meta)
    catalogues.write(build_stars(files), stars_out, meta)
    print(f"{len(galaxies)} galaxies")


def isochrone(receipt, stars_out, meta=None):
    """Build the stars of one age from the input "artpop"."""
    catalogues.write(build_isochrone(beside(receipt, "*.pkl")), stars_out, meta)


def visits(receipt, visits_out, meta=None):
    """Build the table of visits from the input "sorcha"."""
    catalogues.write(build_visits(beside(receipt, "*.db")), visits_out, meta)


def supernovae(receipt, supernovae_out, meta=None):
    """Build the table of magnitudes from the input "sncosmo"."""
    catalogues.write(build_supernovae(beside(receipt, "*.fits")), supernovae_out, meta)


def coma(receipt, stamp_out, cards=None, missing=None):
    """Cut the stamp of a coma from the input "comet_9p".

    Where that is not to be had, the stamp says so (``missing``): other transients are injected without it.
    """
    if missing:
        hdu = fits.PrimaryHDU()
        hdu.header["ABSENT"] = missing
    else:
        hdu = build_coma(beside(receipt, "*.fits"))
    hdu.header.update(cards or {})
    hdu.writeto(f"{stamp_out}.part", overwrite=True)
    os.replace(f"{stamp_out}.part", stamp_out)


def beside(receipt, pattern):
    """Return the one file of an input that is called like ``pattern``."""
    (path,) = Path(receipt).parent.glob(pattern)
    return path
