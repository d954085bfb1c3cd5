"""The galaxies that patches are drawn from.

They join two public catalogues of simulations. *Magnitudes, colours and redshifts* are those of
100,000 galaxies of the Buzzard simulation (DeRose et al. 2019, as shipped in pzflow: ugrizy, z < 2.3).
*Structure* (sizes, axis ratios, bulge fraction per band) is that of 3,500 galaxies of cosmoDC2
(Korytov et al. 2019, as shipped in skycatalogs), taken from one of the `NEIGHBOURS` galaxies nearest
in i magnitude, redshift and redness at its redshift. `build_galaxies` says how, and its limits.
"""

from functools import lru_cache
from pickle import UnpicklingError

import galsim
import numpy as np
from astropy.table import Table

from ..data.catalogues import describe
from ..errors import StudyError
from . import POPULATIONS
from .base import BANDS, Population
from .galaxy_counts import COMPLETE, FAINTEST, SIZE_LUMINOSITY
from .skycatalogs import read_skycatalogs
from .targets import described, place_targets

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

_GALAXIES = {
    "galaxy": (None, "row number"),
    "redshift": (None, "redshift (Buzzard)"),
    **{f"mag_{b}": ("mag", f"AB magnitude in {b} (Buzzard)") for b in BANDS},
    **{f"bulge_fraction_{b}": (None, f"part of the light that is in the bulge, in {b}") for b in BANDS},
    "hlr_bulge": ("arcsec", "half-light radius of the bulge, circularised"),
    "q_bulge": (None, "axis ratio of the bulge"),
    "n_bulge": (None, "Sersic index of the bulge"),
    "hlr_disk": ("arcsec", "half-light radius of the disk, circularised"),
    "q_disk": (None, "axis ratio of the disk"),
    "n_disk": (None, "Sersic index of the disk"),
    "origin": (None, "observed: magnitudes as in the catalogue; dimmed: of a galaxy at the catalogue's limit"),
    "template": (None, "galaxy_id in skycatalogs whose structure this one has"),
}


_WINDOW = 40  # galaxies of the sample nearest in magnitude, of which one is taken


@POPULATIONS.register("cosmodc2")
class CosmoDC2(Population):
    """Galaxies with the photometry of Buzzard and the structure of cosmoDC2."""

    inputs = ("pzflow", "skycatalogs")
    memory_mb = 1500

    @classmethod
    def build(cls, folders):
        """Return the joint sample: see `build_galaxies`."""
        return build_galaxies(folders["pzflow"] / "galaxy-data.pkl", folders["skycatalogs"].glob("*.parquet"))

    def draw(self, settings, patch, truth, seed, case, block, realisation, tables):
        """Return galaxies: each is one of those of the sample nearest to it in magnitude, turned at random.

        It has that one's colours, and its size scaled with luminosity to the power of `SIZE_LUMINOSITY`.
        """
        bands, galaxies = list(settings["bands"]), tables[self.name]
        lacking = [n for b in bands for n in (f"mag_{b}", f"bulge_fraction_{b}") if n not in galaxies.colnames]
        if lacking:
            raise StudyError(
                f"the population has no {', '.join(lacking)}",
                "inject.population",
                "use bands that it has, or population: sersic",
            )
        out, mag, draws, _ = place_targets(settings, patch, seed, case, block, realisation)
        known = np.asarray(galaxies[f"mag_{settings.get('shape_band', bands[0])}"], float)
        order = np.argsort(known, kind="stable")
        order = order[np.isfinite(known[order])]
        width = min(_WINDOW, len(order))
        start = np.clip(np.searchsorted(known[order], mag) - width // 2, 0, len(order) - width)
        pick = order[start + (draws[:, 1] * width).astype(int)]
        dimming = mag - known[pick]
        factor = 10 ** (-0.4 * SIZE_LUMINOSITY * dimming)
        out["source_type"] = "Galaxy"
        out["redshift"] = np.asarray(galaxies["redshift"], float)[pick]
        for band in bands:
            out[f"mag_{band}"] = np.asarray(galaxies[f"mag_{band}"], float)[pick] + dimming
            out[f"bulge_fraction_{band}"] = np.asarray(galaxies[f"bulge_fraction_{band}"], float)[pick]
        for part in ("bulge", "disk"):
            q = np.asarray(galaxies[f"q_{part}"], float)[pick]
            g = (1 - q) / (1 + q)
            out[f"hlr_{part}"] = np.asarray(galaxies[f"hlr_{part}"], float)[pick] * factor
            out[f"n_{part}"] = np.asarray(galaxies[f"n_{part}"], float)[pick]
            out[f"g1_{part}"] = g * np.cos(2 * np.pi * draws[:, 2])
            out[f"g2_{part}"] = g * np.sin(2 * np.pi * draws[:, 2])
        return described(out, bands)


@lru_cache(maxsize=1)
def cosmology():
    """Return the cosmology of cosmoDC2 (flat, H0 = 71 km/s/Mpc, Omega_m = 0.2648)."""
    from astropy.cosmology import FlatLambdaCDM  # slow to import; only the builders need it

    return FlatLambdaCDM(H0=71.0, Om0=0.2648)


def build_galaxies(pzflow_pickle, skycatalog_files):
    """Build the joint sample of galaxies.

    1. Magnitudes and redshift are those of the pzflow galaxies brighter than `COMPLETE`. Fainter
       ones, to `FAINTEST`, are the galaxies of the last half magnitude before `COMPLETE`, dimmed:
       *colours and redshifts therefore do not evolve beyond i = 25.5* (the true population gets
       bluer and more distant).
    2. Each takes the structure of a skycatalogs galaxy near to it in i magnitude, redshift and
       redness: the rank of g - i among the galaxies of its own catalogue at its redshift, so that
       the difference of the two simulations' colours does not matter. Physical size is copied,
       scaled by luminosity^`SIZE_LUMINOSITY`, and seen at the new redshift.
    3. The bulge fraction per band is synthetic photometry of the SEDs of bulge and of disk + knots
       through GalSim's LSST bandpasses at the template's redshift.

    Other limits: at i < 22 the templates are few (a few hundred), so structure repeats. cosmoDC2's
    galaxies are 20 to 25 % smaller than HST/COSMOS finds at i = 22 to 26 (the option ``size_factor``
    of a patch's population tests what that does), and its bulges are nearly round: rms per component
    0.23 for disks, 0.06 for bulges, 0.15 to 0.20 weighted by flux, where HST has 0.26. A quarter of
    its galaxies at i > 24 are pure bulges, mostly the bluest ones at z > 0.7, which in nature are
    disks. Clumps (its knots) are smooth disk here. Position angles are drawn when a patch is.

    Parameters
    ----------
    pzflow_pickle : path-like
        ``pzflow/example_files/galaxy-data.pkl``. A pickle: only for a file whose checksum is known.
    skycatalog_files : iterable of path-like
        The ``galaxy_*.parquet`` files; of others (fluxes, stars) that are among them none is read.

    Returns
    -------
    astropy.table.Table
        Sorted by i magnitude; columns with units and descriptions.
    """
    photometry = _photometry(pzflow_pickle)
    templates = _templates(skycatalog_files)
    mags = {b: photometry[b] for b in BANDS}
    redshift = photometry["redshift"]
    nearest = _nearest(mags, redshift, templates)

    target = cosmology().angular_diameter_distance(redshift).value, cosmology().distmod(redshift).value
    luminosity = (templates["mag_i"] - templates["modulus"])[nearest] - (mags["i"] - target[1])
    factor = templates["distance"][nearest] / target[0] * 10 ** (0.4 * SIZE_LUMINOSITY * luminosity)

    table = Table()
    table["galaxy"] = np.arange(len(redshift))
    table["redshift"] = redshift
    for b in BANDS:
        table[f"mag_{b}"] = mags[b]
    for b in BANDS:
        table[f"bulge_fraction_{b}"] = templates[f"bulge_{b}"][nearest]
    for part in ("bulge", "disk"):
        table[f"hlr_{part}"] = templates[f"hlr_{part}"][nearest] * factor
        table[f"q_{part}"] = templates[f"q_{part}"][nearest]
        table[f"n_{part}"] = templates[f"n_{part}"][nearest]
    table["origin"] = np.where(photometry["dimmed"], "dimmed", "observed")
    table["template"] = templates["galaxy_id"][nearest]
    table.meta["sources"] = "pzflow galaxy-data (Buzzard); skycatalogs ci_sample (cosmoDC2)"
    return describe(table, _GALAXIES)


def _photometry(path):
    """Return redshift and magnitudes of the sample to `FAINTEST`, sorted by i, and which are dimmed."""
    import pandas as pd  # here, so that jobs that only draw need not load it

    try:
        frame = pd.read_pickle(path)
        frame = frame[["redshift", *BANDS]].astype(float)
    except (OSError, EOFError, ValueError, KeyError, AttributeError, ImportError, UnpicklingError) as error:
        raise StudyError(
            f"not pzflow's table of galaxies ({error})", str(path), "delete it and fetch it again"
        ) from error
    frame = frame[np.isfinite(frame).all(axis=1)]
    bright = frame[frame["i"] < COMPLETE]
    parents = bright[bright["i"] >= COMPLETE - 0.5].sort_values("i", kind="stable")
    # Two copies of each, spread evenly over the fainter magnitudes by a golden-ratio sequence.
    order = np.arange(2 * len(parents))
    faint = parents.iloc[order % max(len(parents), 1)].copy()
    i = COMPLETE + (FAINTEST + 0.3 - COMPLETE) * ((order + 0.5) * 0.6180339887498949 % 1.0)
    faint[list(BANDS)] = faint[list(BANDS)].add(i - faint["i"].to_numpy(), axis=0)
    both = pd.concat([bright.assign(dimmed=False), faint.assign(dimmed=True)])
    both = both.sort_values("i", kind="stable")
    return {name: both[name].to_numpy() for name in both.columns}


def _templates(paths):
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


def _redness(colour, redshift, bins=40):
    """Return the rank (0 to 1) of each colour among galaxies of about the same redshift."""
    order = np.argsort(redshift, kind="stable")
    rank = np.empty(len(order))
    for group in np.array_split(order, min(bins, max(1, len(order) // 50))):
        rank[group[np.argsort(colour[group], kind="stable")]] = (np.arange(len(group)) + 0.5) / len(group)
    return rank


def _nearest(mags, redshift, templates):
    """Return for each galaxy the number of the template that gives it its structure."""
    from scipy.spatial import cKDTree

    def features(i, z, redness):
        return np.column_stack([i / 1.0, np.log1p(z) / 0.1, redness / 0.15])

    tree = cKDTree(
        features(templates["mag_i"], templates["redshift"], _redness(templates["colour"], templates["redshift"]))
    )
    points = features(mags["i"], redshift, _redness(mags["g"] - mags["i"], redshift))
    _, found = tree.query(points, k=NEIGHBOURS)
    return found[np.arange(len(points)), np.arange(len(points)) % NEIGHBOURS]
