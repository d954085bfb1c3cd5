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
    found += _plane_problems(data, "input" in data)
    if data["template"]:
        template = data["template"]
        if ("file" in template) == ("member" in template):
            found.append(Problem(("template",), "needs one of `file` and `member`", "say where its pixels are"))
        found += _plane_problems(template, "input" in data, ("template",))
    if not found and not blocks(data, {"size": data["tiling"]["block"], "border": data["tiling"]["border"]}):
        found.append(Problem(("tiling",), "no block fits into the image", "make block and border smaller"))
    raise_problems(found, [source], source.path)
    return data


def _plane_problems(data, fetched, key=()):
    """Return what is wrong with an image, or with its template, that no schema sees."""
    found = []
    for name in ("zero_point", "gain", "saturation"):
        given = (data.get(name) is not None) + (f"{name}_key" in data)
        if given == 2 or (given == 0 and name == "gain"):
            found.append(Problem(key, f"needs one of `{name}` and `{name}_key`",
                                 "give the number, or its header keyword"))
    psf = data["psf"]
    needed = {"file": ("file",), "moffat": ("fwhm", "beta"), "kolmogorov": ("fwhm",)}.get(psf["kind"], ())
    found += [Problem((*key, "psf"), f"a PSF of kind {psf['kind']} needs `{k}`", "add it")
              for k in needed if k not in psf]
    parts = [(("variance",), data["variance"]), (("mask",), data["mask"] or {})]
    for part, entry in [*parts, *([((), data)] if key else [])]:
        if "member" in entry and not fetched:
            found.append(Problem((*key, *part, "member"), "needs an `input`", "give a `file` instead"))
    if data["variance"]["kind"] == "measured" and {"file", "member"} & set(data["variance"]):
        found.append(Problem((*key, "variance"), "is measured, but names a file",
                             "say what the plane holds: kind: variance, or kind: weight"))
    return found


def image_files(image):
    """Return the files of a user's own that an image is read from, each once; none of a fetched one.

    Parameters
    ----------
    image : dict
        As `load_image` returns it.
    """
    parts = []
    for entry in (image, image.get("template") or {}):
        parts += [entry, *(entry.get(key) or {} for key in ("psf", "variance", "mask"))]
    return list(dict.fromkeys(part["file"] for part in parts if "file" in part))


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
