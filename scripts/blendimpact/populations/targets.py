"""Where targets go and how bright they are: what populations that are spread over a patch share."""

import numpy as np
from astropy.table import Table

from ..data.catalogues import describe
from ..data.frames import pixel_to_sky
from ..errors import StudyError
from ..sky.patches import pointing
from ..stats.streams import stream
from .beside import WEIGHT, Counts, Hosts, lattice_of, place_beside
from .source_types import COLUMNS


def lattice(number, side, separation, rng):
    """Return positions on a jittered lattice: no two closer than ``separation``.

    Parameters
    ----------
    number : int
        Of positions.
    side : float
        Side of the square, pixels.
    separation : float
        Pixels.
    rng : numpy.random.Generator
        As from `stats.streams.stream`.

    Returns
    -------
    (number, 2) array
        x, y from the square's corner.

    Raises
    ------
    StudyError
        If so many do not fit.
    """
    cells, pitch = lattice_of(number, side, separation)
    chosen = np.sort(rng.permutation(cells * cells)[:number])
    jitter = rng.uniform(-0.5, 0.5, (cells * cells, 2))[chosen] * (pitch - separation)
    corner = np.stack([chosen % cells, chosen // cells], axis=1) * pitch
    return corner + pitch / 2 + jitter


def draw_magnitudes(uniform, low, high, slope=0.0):
    """Return magnitudes with dN/dm ~ 10^(slope m) between two limits, from uniform numbers in [0, 1)."""
    return Counts(low, high, slope).magnitude(uniform)


def place_targets(settings, patch, seed, case, block, realisation, truth=None):
    """Draw places and magnitudes of the targets of one patch: on a jittered lattice, whatever they are.

    With ``inject.beside`` a share of them lies beside brighter sources of ``truth`` (`beside.place_beside`).

    Parameters
    ----------
    settings, patch, seed, case, block, realisation
        As in `base.Population.draw`. ``inject`` has ``per_patch``, ``mag`` ([brightest, faintest] in ``shape_band``),
        ``separation`` (arcsec) and ``counts_slope`` (0: uniform in magnitude; 0.3: as galaxies are counted). Visits of
        a block have the same targets at the same places of the sky (`sky.patches.pointing`).
    truth : Table, optional
        Of the patch, for ``inject.beside``.

    Returns
    -------
    out : Table
        ``injection_id``, ``ra``, ``dec``, ``x``, ``y``; with ``inject.beside`` the columns of `beside.WEIGHT`.
    mag : (N,) array
        In ``shape_band``.
    draws : (N, 4) array
        Uniform numbers: the first is used up by the magnitude, the others are for what the targets look like.
    key : tuple
        Of further streams, with the seed.
    """
    options = settings["inject"]
    image = patch.bands[settings["bands"][0]]
    number, (low, high) = int(options["per_patch"]), options["mag"]
    inside = min(patch.shape) - 2 * patch.border
    key = (case, "injection", int(block), int(realisation))
    draws = stream(seed, *key, "profiles").uniform(size=(number, 4))
    if options.get("beside"):
        if truth is None:
            what = f"the population {options['population']!r} does not say what its targets could be beside"
            raise StudyError(what, "inject.beside", "set it to null, or hand the truth to `place_targets`")
        hosts = Hosts.of(truth, settings["shape_band"])
        place, mag, weight = place_beside(
            number, inside, patch.border - 0.5, image.pixel_scale, options, hosts, stream(seed, *key, "beside")
        )
        return _catalogue(image, place, chance_weight=weight), mag, draws, key
    place = (
        lattice(number, inside, options["separation"] / image.pixel_scale, stream(seed, *key, "positions"))
        + patch.border
        - 0.5
    )
    place = place + pointing(settings, seed, case, patch.index)
    mag = draw_magnitudes(draws[:, 0], low, high, options.get("counts_slope", 0.0))
    return _catalogue(image, place), mag, draws, key


def _catalogue(image, place, **others):
    ra, dec = pixel_to_sky(image.wcs, place[:, 0], place[:, 1])
    number = np.arange(len(place))
    return Table({"injection_id": number, "ra": ra, "dec": dec, "x": place[:, 0], "y": place[:, 1], **others})


def described(out, bands):
    """Return an injection catalogue with units and descriptions."""
    return describe(
        out,
        {
            **COLUMNS,
            **{name: text for name, text in WEIGHT.items() if name in out.colnames},
            "x": ("pix", "position along axis 1"),
            "y": ("pix", "position along axis 2"),
            **{f"mag_{b}": ("mag", f"AB magnitude in {b}") for b in bands},
        },
    )
