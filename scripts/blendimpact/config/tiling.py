"""How a real image is cut into blocks, the unit of resampling."""

from typing import Annotated

from pydantic import Field

from .files import Problem
from .models import Model, Whole

LEAST_BLOCK = 16
"""Least side of a block, pixels."""


class Tiling(Model):
    """How the image is cut into blocks, the unit of resampling."""

    block: Whole = Field(300, ge=LEAST_BLOCK, description="Side of a block in pixels.")
    border: Whole = Field(36, ge=0, description="Pixels around a block without targets.")
    region: list[Annotated[Whole, Field(ge=0)]] | None = Field(
        None,
        min_length=4,
        max_length=4,
        description="Usable part [x0, x1, y0, y1] in pixels, 0-based, half-open; null: all of it.",
    )


def no_block(size, tiling):
    """Yield the `Problem` of an image that is too small for a block.

    Parameters
    ----------
    size : sequence of int
        (nx, ny), pixels.
    tiling : dict
        As `Tiling` has it.
    """
    block, border = tiling["block"], tiling["border"]
    if blocks({"size": size, "tiling": tiling}, {"size": block, "border": border}):
        return
    region = tiling["region"]
    nx, ny = (region[1] - region[0], region[3] - region[2]) if region else size
    spare = (min(nx, ny) - LEAST_BLOCK) // 2
    yield Problem(
        ("tiling",),
        f"no block fits into the image: a block of {block} pixels with a border of {border} needs "
        f"{block + 2 * border} x {block + 2 * border}, there are {nx} x {ny}",
        f"make block and border smaller: block + 2 border at most {min(nx, ny)}, block at least {LEAST_BLOCK}, border "
        "at least half of the case's `stamp` (arcsec)"
        if spare >= 0
        else f"the least is {LEAST_BLOCK} x {LEAST_BLOCK}: take a larger image",
    )


def blocks(image, patch):
    """Return the blocks of a real image, spread evenly whatever number of them is used.

    Parameters
    ----------
    image : dict
        As `load_image` returns it.
    patch : dict
        ``size`` and ``border`` in pixels.

    Returns
    -------
    list of (x0, y0)
        First pixel (0-based) of the inside of each block. The insides do not overlap; borders
        reach into neighbours. Block b of the study is entry b.
    """
    x0, x1, y0, y1 = image["tiling"]["region"] or (0, image["size"][0], 0, image["size"][1])
    size, border = patch["size"], patch["border"]
    columns, rows = ((end - start - 2 * border) // size for start, end in ((x0, x1), (y0, y1)))
    if columns < 1 or rows < 1:
        return []
    grid = [(x0 + border + i * size, y0 + border + j * size) for j in range(rows) for i in range(columns)]
    # the golden-section sequence visits the grid evenly from its first entries on
    return [grid[k] for k in sorted(range(len(grid)), key=lambda k: (k * 0.6180339887498949) % 1)]
