"""Places on the sky and on an image, whatever the frame and the order of the axes of its header.

All coordinates of the study are right ascension and declination in ICRS. The celestial axes of an image may be
galactic, of another equinox, or in the other order: these functions alone ask a WCS for places. (Astropy's
`pixel_to_skycoord` takes the pixels of a WCS whose declination comes first in the other order too.)
"""

import numpy as np
from astropy.coordinates import SkyCoord


def pixel_to_sky(wcs, x, y):
    """Return (ra, dec) in degrees, ICRS, of 0-based pixel positions."""
    place = wcs.pixel_to_world(np.asarray(x, float), np.asarray(y, float)).icrs
    return np.asarray(place.ra.deg), np.asarray(place.dec.deg)


def sky_to_pixel(wcs, ra, dec):
    """Return 0-based pixel positions (x, y) of places given in degrees, ICRS."""
    x, y = wcs.world_to_pixel(SkyCoord(np.asarray(ra, float), np.asarray(dec, float), unit="deg"))
    return np.asarray(x), np.asarray(y)


def jacobian(wcs, x, y):
    """Return the matrix d(east, north) / d(x, y) at a pixel, in arcsec per pixel."""
    ra, dec = pixel_to_sky(wcs, [x, x + 0.5, x - 0.5, x, x], [y, y, y, y + 0.5, y - 0.5])
    north = (dec - dec[0]) * 3600
    east = ((ra - ra[0] + 180) % 360 - 180) * np.cos(np.radians(dec[0])) * 3600
    return np.array([[east[1] - east[2], east[3] - east[4]], [north[1] - north[2], north[3] - north[4]]])
