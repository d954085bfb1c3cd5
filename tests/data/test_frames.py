"""Places are ICRS whatever the frame and the order of the axes of an image."""

from dataclasses import replace

import numpy as np
import pytest
import sky_maker
from astropy.coordinates import FK4, SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from blendimpact.data.frames import jacobian, pixel_to_sky, sky_to_pixel
from blendimpact.populations.user_catalogue import on_patch
from blendimpact.sky.injection import inject

CENTRE = (61.0, 93.0)  # 0-based pixel that the header calls CRPIX
PLACES = {
    "icrs": SkyCoord(58.4, -48.5, unit="deg"),
    "galactic": SkyCoord(258.0, -49.0, unit="deg", frame="galactic"),
    "b1950": SkyCoord(58.4, -48.5, unit="deg", frame=FK4(equinox=Time("B1950"))),
    "swapped": SkyCoord(58.4, -48.5, unit="deg"),
}


def wcs_of(frame):
    """A WCS of 0.263 arcsec per pixel whose reference pixel is `CENTRE`; y is north of its own frame."""
    cards = {"icrs": {}, "galactic": {}, "b1950": {"RADESYS": "FK4", "EQUINOX": 1950.0}, "swapped": {}}[frame]
    names, values = ("RA---TAN", "DEC--TAN"), (58.4, -48.5)
    if frame == "galactic":
        names, values = ("GLON-TAN", "GLAT-TAN"), (258.0, -49.0)
    scale = sky_maker.SCALE / 3600
    matrix = [[-scale, 0.0], [0.0, scale]]
    if frame == "swapped":
        names, values, matrix = names[::-1], values[::-1], matrix[::-1]
    header = fits.Header({f"CTYPE{k + 1}": name for k, name in enumerate(names)})
    header.update({f"CRVAL{k + 1}": value for k, value in enumerate(values)})
    header.update({f"CRPIX{k + 1}": CENTRE[k] + 1 for k in (0, 1)})
    header.update({f"CD{i + 1}_{j + 1}": matrix[i][j] for i in (0, 1) for j in (0, 1)})
    header.update(cards)
    return WCS(header)


@pytest.mark.parametrize("frame", PLACES)
def test_places_are_icrs_in_every_frame(frame):
    wcs, place = wcs_of(frame), PLACES[frame].icrs
    ra, dec = pixel_to_sky(wcs, *CENTRE)
    assert (ra, dec) == pytest.approx((place.ra.deg, place.dec.deg), abs=1e-7)
    assert sky_to_pixel(wcs, place.ra.deg, place.dec.deg) == pytest.approx(CENTRE, abs=1e-3)
    x, y = np.random.default_rng(3).uniform(0, 170, (2, 50))
    assert np.allclose(sky_to_pixel(wcs, *pixel_to_sky(wcs, x, y)), (x, y), atol=1e-4)


@pytest.mark.parametrize("frame", PLACES)
def test_east_and_north_are_those_of_icrs(frame):
    """The columns of the Jacobian are the offset and position angle of a pixel's step, as SkyCoord measures them."""
    wcs = wcs_of(frame)
    matrix, here = jacobian(wcs, *CENTRE), SkyCoord(*pixel_to_sky(wcs, *CENTRE), unit="deg")
    for axis in (0, 1):
        step = np.array(CENTRE) + 5 * np.eye(2)[axis]
        there = SkyCoord(*pixel_to_sky(wcs, *step), unit="deg")
        angle, length = here.position_angle(there).rad, here.separation(there).arcsec / 5
        assert matrix[:, axis] == pytest.approx((length * np.sin(angle), length * np.cos(angle)), abs=2e-5)


@pytest.mark.parametrize("frame", PLACES)
def test_a_source_of_a_catalogue_lands_on_its_pixel(frame):
    patch, truth = sky_maker.real_patch()
    ra, dec = PLACES[frame].icrs.ra.deg, PLACES[frame].icrs.dec.deg
    patch = replace(patch, bands={"g": replace(patch.bands["g"], wcs=wcs_of(frame))})
    catalogue = sky_maker.standardise(
        sky_maker.Table({"injection_id": [1], "ra": [ra], "dec": [dec], "source_type": ["Star"], "mag": [21.0]}),
        ["g"],
        sky_maker.SCALE,
    )
    rows = on_patch(catalogue, patch)
    assert len(rows) == 1
    settings = {"scenario": "mine", "shape_band": "g", "match_radius": 1.0, "truth_snr": 5}
    after, table = inject(patch, truth, rows, 1, "galaxies", settings)
    added = after.bands["g"].science - patch.bands["g"].science
    assert np.unravel_index(added.argmax(), added.shape) == (int(CENTRE[1]), int(CENTRE[0]))
    assert table["ra"][-1] == pytest.approx(ra, abs=1e-6) and table["role"][-1] == "target"
