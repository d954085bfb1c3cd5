"""Definitions of real images: where the pixels are, and how they are cut into blocks."""

from functools import lru_cache
from pathlib import Path

from .schema import Problem, find, load_checked, raise_problems


def load_image(name_or_path):
    """Return the definition of a real image (a dict with defaults), by name or path.

    Raises
    ------
    StudyError
        If there is no such file or a key is wrong.
    """
    path = Path(find("images", name_or_path))
    return _load_image(str(path), path.stat().st_mtime_ns)


@lru_cache
def _load_image(path, _mtime):
    data, source = load_checked(path, "image")
    found = []
    if Path(path).stem != data["name"]:
        found.append(Problem(("name",), f"is {data['name']!r}, but the file is {Path(path).name}",
                             "give the image the name of its file"))
    if ("file" in data) == ("input" in data) or ("input" in data) != ("member" in data):
        found.append(Problem((), "needs `file`, or `input` and `member`",
                             "say where the pixels are, in one way"))
    for key in ("zero_point", "gain", "saturation"):
        given = (data.get(key) is not None) + (f"{key}_key" in data)
        if given == 2 or (given == 0 and key == "gain"):
            found.append(Problem((), f"needs one of `{key}` and `{key}_key`",
                                 "give the number, or its header keyword"))
    psf = data["psf"]
    needed = {"file": ("file",), "moffat": ("fwhm", "beta"), "kolmogorov": ("fwhm",)}.get(psf["kind"], ())
    found += [Problem(("psf",), f"a PSF of kind {psf['kind']} needs `{k}`", "add it")
              for k in needed if k not in psf]
    for key in ("variance", "mask"):
        if "member" in (data[key] or {}) and "input" not in data:
            found.append(Problem((key, "member"), "needs an `input`", "give a `file` instead"))
    if data["variance"]["kind"] == "measured" and {"file", "member"} & set(data["variance"]):
        found.append(Problem(("variance",), "is measured, but names a file",
                             "say what the plane holds: kind: variance, or kind: weight"))
    if not found and not blocks(data, {"size": data["tiling"]["block"], "border": data["tiling"]["border"]}):
        found.append(Problem(("tiling",), "no block fits into the image", "make block and border smaller"))
    raise_problems(found, [source], source.path)
    return data


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
