"""The 1 / rho coma in Fourier space."""

import numpy as np
from scipy.special import itj0y0


def coma_transform(q):
    """Return the transform of a 1 / rho profile of unit flux that ends at R, at q = k R.

    2 pi int_0^R J0(k rho) rho / (2 pi R rho) d rho = (1 / q) int_0^q J0(t) dt.
    """
    q = np.asarray(q, dtype=float)
    small = q < 1e-4
    safe = np.where(small, 1.0, q)
    return np.where(small, 1.0 - q * q / 12, itj0y0(safe)[0] / safe)
