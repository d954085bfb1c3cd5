"""How many galaxies there are, and how their sizes go with luminosity."""

import numpy as np

COMPLETE = 25.5
"""i magnitude to which the pzflow sample follows a power law of counts (its peak is at 25.6)."""
FAINTEST = 28.5
"""i magnitude of the faintest galaxies; no sample of structures is so deep."""
SIZE_SLOPE = -0.135
"""Change of log10 of the half-light radius per magnitude, by which a copied size is scaled. The HST/COSMOS sample has
log10 r50[arcsec] = -0.696 - 0.135 (F814W - 24) at F814W = 20 to 25, with a scatter of 0.22 dex [D]."""

_COUNTS = 46.0, 0.31  # LSST Science Book: N(<i) = 46 x 10^{0.31 (i - 25)} arcmin^-2


def counts(i):
    """Return the number of galaxies per arcmin^2 brighter than magnitude ``i``.

    N(<i) = 46 x 10^{0.31 (i - 25)}, a fit to deep counts (LSST Science Book, 2009, ch. 3; quoted from
    memory, to be checked against the book before it is quoted further).
    """
    norm, slope = _COUNTS
    return norm * 10 ** (slope * (np.asarray(i, dtype=float) - 25.0))


def magnitude_at(fraction, faintest=FAINTEST):
    """Return the magnitude brighter than which is ``fraction`` (0 to 1) of the galaxies to ``faintest``."""
    return faintest + np.log10(fraction) / _COUNTS[1]
