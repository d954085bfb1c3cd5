"""The sources of a patch before shear: which, where, and what they look like.

They are those of the populations that ``population`` of the settings names (`populations.drawn`).
"""

import numpy as np
from astropy.table import Table

from ..populations.drawn import Field, blocks, first_id, member, placed
from .half_light import half_light_radius
from .positions import Positions

PARTS = ("hlr", "n", "g1", "g2")
_BLANK = {"U": "", "i": -1}
"""What a source has of a column of another population, by the kind of its numbers; else NaN."""
_NOTHING = {"knots": 0.0, "knots_seed": 0}


def draw_scene(population, half, seed, case, index, tables, bands, reference):
    """Draw the sources of a patch.

    Parameters
    ----------
    population : dict
        The ``population`` of the settings.
    half : float
        Half the side (arcsec) of the square in which sources are drawn.
    seed : int
        Seed of the study.
    case, index : str, int
        Case and number of the patch, which with the seed name the streams.
    tables : dict of str to astropy.table.Table
        What the populations are drawn from, by their names (`populations.drawn_tables`).
    bands : list of str
        Bands, of ugrizy.
    reference : str
        Band of the half-light radius of the whole source, and of the magnitudes of isochrone stars.

    Returns
    -------
    astropy.table.Table
        Profiles as in the truth; ``dx``, ``dy`` are arcsec from the centre. ``target``: whether its population's
        sources are to be measured.
    """
    parts, texts = [], {}
    for number, (label, block) in enumerate(blocks(population).items()):
        if not block["density"]:
            continue
        drawn = member(block)
        span = (block.get(key, own) for key, own in zip(("mag_min", "mag_max"), drawn.limits))
        place, positions = (label, half, seed, case, index), dict(population.get("positions", {}))
        field = Field(*place, tuple(bands), reference, block["density"], *span, positions)
        part = _completed(drawn.scatter(field, tables), first_id(number), bands, reference)
        parts.append(part | {"target": np.full(len(part["source_id"]), block.get("targets", True))})
        texts |= drawn.columns
    if not parts:
        none = {f"mag_{band}": np.zeros(0) for band in bands}
        nothing = placed(Positions(*np.zeros((3, 0)), np.zeros(0, int)), np.zeros(0, int), "star", **none)
        parts = [_completed(nothing, 0, bands, reference) | {"target": np.zeros(0, bool)}]
    scene = Table({name: np.concatenate([_column(part, name, parts) for part in parts]) for name in _names(parts)})
    for name in ("trail_length", "trail_angle"):
        scene[name] = np.nan
    scene["stamp"] = ""
    for name in texts.keys() & set(scene.colnames):
        scene[name].unit, scene[name].info.description = texts[name]
    return scene


def _completed(drawn, first, bands, reference):
    """Return the truth columns of one population's sources, {name: array}, from what it has drawn."""
    drawn = dict(drawn)
    numbers = drawn.pop("candidate")
    count = len(numbers)
    out = {"source_id": first + numbers + 1, "redshift": np.zeros(count), "evolution": np.full(count, ""), **drawn}
    extended = "hlr_disk" in drawn
    for key in PARTS:
        out.setdefault(f"{key}_disk", np.full(count, np.nan))
        out.setdefault(f"{key}_bulge", out[f"{key}_disk"])  # what has no bulge is one profile
    for band in bands:
        out[f"flux_{band}"] = 10 ** (-0.4 * (out[f"mag_{band}"] - 31.4))
        out.setdefault(f"bulge_fraction_{band}", np.full(count, 0.0 if extended else np.nan))
    sizes = (out[f"{key}_{part}"] for key in ("hlr", "n") for part in ("bulge", "disk"))
    out["hlr"] = half_light_radius(out[f"bulge_fraction_{reference}"], *sizes) if extended else np.zeros(count)
    return out


def _names(parts):
    return list(dict.fromkeys(name for part in parts for name in part))


def _column(part, name, parts):
    """Return a column of one population, with nothing in it where only others have it."""
    if name in part:
        return part[name]
    like = next(other[name] for other in parts if name in other)
    nothing = _NOTHING.get(name, _BLANK.get(like.dtype.kind, np.nan))
    return np.full(len(part["source_id"]), nothing, like.dtype if like.dtype.kind in "Ui" else float)
