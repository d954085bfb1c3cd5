"""How many galaxies there are, and how their sizes go with luminosity."""

import numpy as np

COMPLETE = 25.5
"""i magnitude to which the pzflow sample follows a power law of counts (its peak is at 25.6)."""
FAINTEST = 28.5
"""i magnitude of the faintest galaxies; the cosmoDC2 sample is complete to about 28."""
SIZE_LUMINOSITY = 0.32
"""Slope of log size against log luminosity; that of the cosmoDC2 sample itself at i < 26, at fixed
redshift. Scales a copied size over the difference in luminosity."""

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
