"""Galaxies that look as HST sees them: photometry of Buzzard, structure of HST/COSMOS.

Structure (size, axis ratio, Sersic index, bulge and disk) is that of 81,499 galaxies of the COSMOS survey, 16.7 to 25.2
in F814W: the fits that GalSim's parametric COSMOS galaxies are made of (Mandelbaum et al. 2014, ApJS 212, 5), as the
package fpfs ships them. `build_galaxies` says how they are joined, and the limits.
"""

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import ndtr, ndtri

from ..errors import StudyError
from ..stats.streams import stream
from . import POPULATIONS
from .base import BANDS
from .buzzard import FILE, photometry, redness
from .cosmodc2 import templates
from .galaxies import SampledGalaxies, sample
from .galaxy_counts import SIZE_SLOPE

LIMIT = 25.2
"""F814W magnitude at which the HST sample ends. Fainter galaxies have the structure of its last magnitude."""
DONORS = 16
"""HST galaxies nearest in magnitude and redshift, of which one gives its structure."""
INDEX_COLOUR = 0.5
"""Rank correlation (of a Gaussian copula) of Sersic index and redness among galaxies of one magnitude and redshift: the
HST catalogue has no colours. Adopted [A]: red galaxies are mostly early types, of n about 4."""
INDICES, INDEX_STEP = (0.3, 6.0), 0.05
"""Range of Sersic indices (GalSim's least, and the limit of the fits), and what they are rounded to."""
_PIXEL = 0.03  # arcsec, of the fits
_F814W = 0.44  # of the way from i to z, by pivot wavelengths: 8050 Angstrom between 7540 and 8690
_NEAR = 64  # galaxies of about the same magnitude and redshift, among which redness is ranked
_MIXED = 0.02, 0.98  # bulge fractions of the templates that say how much redder bulges are


@POPULATIONS.register("hst_cosmos")
class HstCosmos(SampledGalaxies):
    """Galaxies with the photometry of Buzzard and the structure of HST/COSMOS."""

    inputs = ("pzflow", "fpfs", "skycatalogs")
    memory_mb = 1500

    @classmethod
    def build(cls, folders):
        """Return the joint sample: see `build_galaxies`."""
        return build_galaxies(
            folders["pzflow"] / FILE, folders["fpfs"] / "src_cosmos.fits", folders["skycatalogs"].glob("*.parquet")
        )


def build_galaxies(pzflow_pickle, cosmos_fits, skycatalog_files):
    """Build the joint sample of galaxies.

    1. Magnitudes and redshifts are those of `buzzard.photometry`.
    2. Each galaxy takes the structure of one of the `DONORS` HST galaxies nearest in F814W (between i and z) and
       redshift: the redder it is among galaxies like it, the higher the rank of the donor's Sersic index
       (`INDEX_COLOUR`). The size is scaled by `galaxy_counts.SIZE_SLOPE` to its magnitude.
    3. Beyond `LIMIT` the donors are those of the last magnitude before it, and sizes follow the same slope: an
       extrapolation of the HST relation log10 r50 = -0.696 - 0.135 (F814W - 24), scatter 0.22 dex [D].
    4. The bulge fraction is that of the fit of bulge and disk where the catalogue prefers it (three in ten), else the
       galaxy is one Sersic profile, in the columns of the disk. In other bands than i it follows from how much redder
       than their disks the bulges of cosmoDC2 are at this redshift.

    Other limits. Faint fits are noisy: of the rms ellipticity per component (0.22 at 21 mag, 0.24 at 22.5, 0.29 at
    24.5) some is error of the fits, as are the indices at their limits (one in ten at 25). Bulge and disk have one axis
    ratio, that of the Sersic fit, and one position angle, which is drawn when a patch is. A single Sersic profile has
    one colour, so that seven in ten galaxies have no colour gradient. The sample leaves out galaxies within 1.5 arcsec
    of another: nothing is taken of its positions. Galaxies of lower surface brightness than HST detects are missing.

    Parameters
    ----------
    pzflow_pickle : path-like
        See `buzzard.photometry`.
    cosmos_fits : path-like
        ``fpfs/data/src_cosmos.fits``.
    skycatalog_files : iterable of path-like
        See `cosmodc2.templates`.

    Returns
    -------
    astropy.table.Table
        Sorted by i magnitude; columns with units and descriptions.
    """
    galaxies, donors = photometry(pzflow_pickle), structures(cosmos_fits)
    colour, redshift = galaxies["g"] - galaxies["i"], galaxies["redshift"]
    mag = galaxies["i"] + _F814W * (galaxies["z"] - galaxies["i"])
    chosen = _donors(mag, redshift, colour, donors)
    size = 10 ** (SIZE_SLOPE * (mag - donors["mag"][chosen]))
    structure = {}
    for part in ("bulge", "disk"):
        structure[f"hlr_{part}"] = donors[f"hlr_{part}"][chosen] * size
        structure[f"q_{part}"] = donors["q"][chosen]
    structure["n_bulge"], structure["n_disk"] = np.full(len(mag), 4.0), donors["n_disk"][chosen]
    fractions = _bulge_fractions(donors["bulge_fraction"][chosen], redshift, colour, templates(skycatalog_files))
    sources = "pzflow galaxy-data (Buzzard); fpfs src_cosmos (HST/COSMOS); skycatalogs ci_sample (cosmoDC2)"
    return sample(galaxies, structure, fractions, donors["id"][chosen], sources)


def structures(path):
    """Return what the HST catalogue says of the galaxies whose fits are usable.

    Parameters
    ----------
    path : path-like
        ``src_cosmos.fits``: columns ``sersicfit`` (2nd to 4th: half-light radius along the major axis in pixels of
        0.03 arcsec, n, q), ``hlr`` (arcsec, circularised: of the Sersic fit, the bulge, the disk) and ``flux`` (alike).

    Returns
    -------
    dict of str to (N,) array
        ``id``; ``mag`` (F814W), ``redshift`` (photometric); ``r50`` (arcsec, circularised), ``n`` and ``q`` of the
        Sersic fit; ``bulge_fraction``, ``hlr_bulge``, ``hlr_disk``, ``n_disk`` of what is drawn.

    Raises
    ------
    StudyError
        If the file is another one.
    """
    from astropy.table import Table

    try:
        table = Table.read(path, hdu=1, format="fits")
        sersic, hlr, flux = (np.asarray(table[name], float) for name in ("sersicfit", "hlr", "flux"))
        columns = {name: np.asarray(table[name]) for name in ("IDENT", "use_bulgefit", "viable_sersic")}
        mag, redshift, radius = (np.asarray(table[name], float) for name in ("mag_auto", "zphot", "flux_radius"))
    except (OSError, KeyError, IndexError, ValueError) as error:
        what = f"not the catalogue of COSMOS fits ({error})"
        raise StudyError(what, str(path), "delete it and fetch it again") from error
    r50, n, q = hlr[:, 0], sersic[:, 2], sersic[:, 3]
    # A half-light radius of three times that of the pixels is a fit that ran away (one in six hundred).
    good = (columns["viable_sersic"] == 1) & (r50 > 0) & (r50 < 3 * _PIXEL * radius) & (q > 0) & (redshift > 0)
    two = (columns["use_bulgefit"] == 1) & (flux[:, 1:3] > 0).all(axis=1) & (hlr[:, 1:3] > 0).all(axis=1)
    steps = np.round(np.clip(n, *INDICES) / INDEX_STEP)
    out = {
        "id": columns["IDENT"].astype(np.int64),
        "mag": mag,
        "redshift": redshift,
        "r50": r50,
        "n": n,
        "q": q,
        "bulge_fraction": np.where(two, flux[:, 1] / np.where(two, flux[:, 1:3].sum(axis=1), 1.0), 0.0),
        "hlr_bulge": np.where(two, hlr[:, 1], r50),
        "hlr_disk": np.where(two, hlr[:, 2], r50),
        "n_disk": np.where(two, 1.0, steps / round(1 / INDEX_STEP)),
    }
    return {name: values[good] for name, values in out.items()}


def _donors(mag, redshift, colour, donors):
    """Return for each galaxy the number of the HST galaxy that gives it its structure."""

    def features(mag, redshift):
        return np.column_stack([mag / 0.2, np.log1p(redshift) / 0.05])

    order = np.arange(len(mag))
    spread = LIMIT - (order * 0.6180339887498949) % 1.0  # over the last magnitude, by a golden-ratio sequence
    wanted = np.where(mag < LIMIT, mag, spread)
    _, near = cKDTree(features(donors["mag"], donors["redshift"])).query(features(wanted, redshift), k=DONORS)
    near = np.take_along_axis(near, np.argsort(donors["n"][near], axis=1, kind="stable"), axis=1)
    points = features(mag, redshift)
    _, alike = cKDTree(points).query(points, k=min(_NEAR, len(mag)))
    rank = ((colour[alike] < colour[:, None]).sum(axis=1) + 0.5) / alike.shape[1]
    noise = stream(0, "hst_cosmos", "structure").standard_normal(len(mag))
    rank = ndtr(INDEX_COLOUR * ndtri(rank) + np.sqrt(1 - INDEX_COLOUR**2) * noise)
    return near[order, np.minimum((rank * near.shape[1]).astype(int), near.shape[1] - 1)]


def _bulge_fractions(fraction, redshift, colour, known):
    """Return the bulge fraction by band, from that in i and the nearest template with a bulge and a disk."""

    def features(redshift, colour):
        return np.column_stack([np.log1p(redshift) / 0.1, redness(colour, redshift) / 0.3])

    mixed = (known["bulge_i"] > _MIXED[0]) & (known["bulge_i"] < _MIXED[1])
    known = {name: values[mixed] for name, values in known.items()}
    _, nearest = cKDTree(features(known["redshift"], known["colour"])).query(features(redshift, colour))
    ratio = {b: known[f"bulge_{b}"] / np.maximum(1 - known[f"bulge_{b}"], 1e-9) for b in BANDS}
    return {b: (f := fraction * (ratio[b] / ratio["i"])[nearest]) / (f + 1 - fraction) for b in BANDS}
