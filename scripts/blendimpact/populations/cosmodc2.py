"""Galaxies of two simulations: photometry of Buzzard, structure of cosmoDC2.

Structure (sizes, axis ratios, bulge fraction per band) is that of 3,500 galaxies of cosmoDC2 (Korytov et al. 2019, as
shipped in skycatalogs), taken from one of the `NEIGHBOURS` galaxies nearest in i magnitude, redshift and redness at
its redshift. `build_galaxies` says how, and its limits. `hst_cosmos` has galaxies that look as real ones do.
"""

from functools import lru_cache

import galsim
import numpy as np

from . import POPULATIONS
from .base import BANDS
from .buzzard import FILE, photometry, redness
from .galaxies import SampledGalaxies, sample
from .galaxy_counts import SIZE_SLOPE
from .skycatalogs import read_skycatalogs

NEIGHBOURS = 8

# Edges (Angstrom) of the top-hat filters of cosmoDC2's SEDs, and the unit (W/Hz) of their values.
_EDGES = np.array(
    [
        1000,
        1246,
        1552,
        1933,
        2407,
        2998,
        3184,
        3381,
        3590,
        3812,
        4048,
        4299,
        4565,
        4848,
        5148,
        5467,
        5806,
        6166,
        6548,
        6954,
        7385,
        7843,
        8329,
        8846,
        9395,
        9978,
        11467,
        13177,
        15143,
        17402,
        19998,
    ],
    dtype=float,
)
_LUMINOSITY = 4.4659e13


@POPULATIONS.register("cosmodc2")
class CosmoDC2(SampledGalaxies):
    """Galaxies with the photometry of Buzzard and the structure of cosmoDC2."""

    inputs = ("pzflow", "skycatalogs")
    memory_mb = 1500

    @classmethod
    def build(cls, folders):
        """Return the joint sample: see `build_galaxies`."""
        return build_galaxies(folders["pzflow"] / FILE, folders["skycatalogs"].glob("*.parquet"))


@lru_cache(maxsize=1)
def cosmology():
    """Return the cosmology of cosmoDC2 (flat, H0 = 71 km/s/Mpc, Omega_m = 0.2648)."""
    from astropy.cosmology import FlatLambdaCDM  # slow to import; only the builders need it

    return FlatLambdaCDM(H0=71.0, Om0=0.2648)


def build_galaxies(pzflow_pickle, skycatalog_files):
    """Build the joint sample of galaxies.

    1. Magnitudes and redshifts are those of `buzzard.photometry`.
    2. Each takes the structure of a skycatalogs galaxy near to it in i magnitude, redshift and
       redness: the rank of g - i among the galaxies of its own catalogue at its redshift, so that
       the difference of the two simulations' colours does not matter. Physical size is copied,
       scaled by `galaxy_counts.SIZE_SLOPE` over the difference in absolute magnitude, and seen at the new redshift.
    3. The bulge fraction per band is synthetic photometry of the SEDs of bulge and of disk + knots
       through GalSim's LSST bandpasses at the template's redshift.

    Other limits: the templates are few (417 from i = 22 to 24, most of them dwarfs at z = 0.05), so structure repeats.
    cosmoDC2's galaxies are 10 to 15 % smaller than HST/COSMOS finds at i = 22 to 25, and its bulges are nearly round:
    rms per component 0.23 for disks, 0.06 for bulges, 0.15 to 0.20 weighted by flux, where HST has 0.22 to 0.29. A
    quarter of its galaxies at i > 24 are pure bulges, mostly the bluest ones at z > 0.7, which in nature are disks.
    Clumps (its knots) are smooth disk here. Position angles are drawn when a patch is.

    Parameters
    ----------
    pzflow_pickle : path-like
        ``pzflow/example_files/galaxy-data.pkl``.
    skycatalog_files : iterable of path-like
        The ``galaxy_*.parquet`` files; of others (fluxes, stars) that are among them none is read.

    Returns
    -------
    astropy.table.Table
        Sorted by i magnitude; columns with units and descriptions.
    """
    galaxies, donors = photometry(pzflow_pickle), templates(skycatalog_files)
    redshift = galaxies["redshift"]
    nearest = _nearest(galaxies, donors)
    distance, modulus = cosmology().angular_diameter_distance(redshift).value, cosmology().distmod(redshift).value
    fainter = (galaxies["i"] - modulus) - (donors["mag_i"] - donors["modulus"])[nearest]
    factor = donors["distance"][nearest] / distance * 10 ** (SIZE_SLOPE * fainter)
    structure = {
        f"{key}_{part}": donors[f"{key}_{part}"][nearest] * (factor if key == "hlr" else 1.0)
        for part in ("bulge", "disk")
        for key in ("hlr", "q", "n")
    }
    fractions = {b: donors[f"bulge_{b}"][nearest] for b in BANDS}
    sources = "pzflow galaxy-data (Buzzard); skycatalogs ci_sample (cosmoDC2)"
    return sample(galaxies, structure, fractions, donors["galaxy_id"][nearest], sources)


def templates(paths):
    """Return structure, i magnitude, colour and redshift of the skycatalogs galaxies."""
    sizes = [f"size_{minor}{part}_true" for part in ("bulge", "disk") for minor in ("", "minor_")]
    seds = [f"sed_val_{part}" for part in ("bulge", "disk", "knots")]
    frame = read_skycatalogs(
        paths, "galaxy_", ["galaxy_id", "redshift", "redshift_hubble", "sersic_bulge", "sersic_disk", *sizes, *seds]
    ).drop_duplicates("galaxy_id")
    z = frame["redshift"].to_numpy(dtype=float)
    flux = {
        part: synthetic_flux(np.stack(frame[f"sed_val_{part}"]), z, frame["redshift_hubble"].to_numpy(dtype=float))
        for part in ("bulge", "disk", "knots")
    }
    total = flux["bulge"] + flux["disk"] + flux["knots"]
    good = (total > 0).all(axis=1) & (frame[sizes] > 0).all(axis=1).to_numpy()
    frame, z, total = frame[good], z[good], total[good]
    fraction = flux["bulge"][good] / total
    mag = 31.4 - 2.5 * np.log10(total)
    out = {
        "galaxy_id": frame["galaxy_id"].to_numpy(),
        "redshift": z,
        "mag_i": mag[:, 3],
        "colour": mag[:, 1] - mag[:, 3],
        "distance": cosmology().angular_diameter_distance(z).value,
        "modulus": cosmology().distmod(z).value,
        **{f"bulge_{b}": fraction[:, k] for k, b in enumerate(BANDS)},
    }
    for part in ("bulge", "disk"):
        major, minor = (frame[f"size_{m}{part}_true"].to_numpy(dtype=float) for m in ("", "minor_"))
        out[f"hlr_{part}"], out[f"q_{part}"] = np.sqrt(major * minor), np.minimum(minor / major, 1.0)
        out[f"n_{part}"] = frame[f"sersic_{part}"].to_numpy(dtype=float)
    return out


def synthetic_flux(sed, redshift, redshift_hubble):
    """Return fluxes (nJy) in ugrizy of cosmoDC2 top-hat SEDs.

    Photon-weighted AB fluxes through GalSim's LSST bandpasses; no Milky Way extinction, no lensing.

    Parameters
    ----------
    sed : (N, 30) array
        Rest-frame luminosity per frequency in the top-hat filters, as in the catalogue.
    redshift, redshift_hubble : (N,) arrays
        With and without peculiar velocity: the first shifts the SED, the second gives the distance.

    Returns
    -------
    (N, 6) array
    """
    distance = cosmology().luminosity_distance(redshift_hubble).to_value("m")
    scale = _LUMINOSITY * (1 + redshift) / (4 * np.pi * distance**2) * 1e35  # W/Hz/m2 to nJy
    edges = 0.1 * _EDGES[None, :] * (1 + redshift[:, None])  # nm
    fluxes = []
    for band in BANDS:
        bandpass = galsim.Bandpass(f"LSST_{band}.dat", wave_type="nm")
        wave = np.linspace(bandpass.blue_limit, bandpass.red_limit, 2000)
        through = bandpass(wave) / wave
        integral = np.concatenate([[0.0], np.cumsum(0.5 * (through[1:] + through[:-1]) * np.diff(wave))])
        weight = np.diff(np.interp(edges, wave, integral / integral[-1]), axis=1)
        fluxes.append((sed * weight).sum(axis=1) * scale)
    return np.stack(fluxes, axis=1)


def _nearest(galaxies, donors):
    """Return for each galaxy the number of the template that gives it its structure."""
    from scipy.spatial import cKDTree

    def features(i, z, redness):
        return np.column_stack([i / 1.0, np.log1p(z) / 0.1, redness / 0.15])

    tree = cKDTree(features(donors["mag_i"], donors["redshift"], redness(donors["colour"], donors["redshift"])))
    z = galaxies["redshift"]
    _, found = tree.query(features(galaxies["i"], z, redness(galaxies["g"] - galaxies["i"], z)), k=NEIGHBOURS)
    return found[np.arange(len(z)), np.arange(len(z)) % NEIGHBOURS]
