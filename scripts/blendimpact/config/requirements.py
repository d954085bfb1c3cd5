"""What the study is held against: the board and the requirements."""

from .files import CONFIG_DIR, Problem, raise_problems
from .schema import load_checked


def load_requirements(year="Y10", path=None):
    """Return the requirements of one survey year by id of the figure of merit.

    Parameters
    ----------
    year : str or None
        "Y1" or "Y10"; entries without a year belong to both. None stands for Y10.
    path : path-like, optional
        Default ``config/requirements.yaml``.

    Returns
    -------
    dict of str to dict
        ``fom``, ``value`` (None: there is no requirement), ``unit``, ``sense`` ("within", "at most",
        "at least", "known to"), ``year``, ``source``, ``tag``, ``comparisons``, and ``note`` if any.

    Raises
    ------
    StudyError
        If the file is wrong, or gives a figure of merit two requirements for one year.
    """
    data, source = load_checked(path or CONFIG_DIR / "requirements.yaml", "requirements")
    found, seen = [], {}
    for number, entry in enumerate(data["requirements"]):
        key = ("requirements", number)
        for other in (entry["year"],) if entry["year"] else ("Y1", "Y10"):
            if (entry["fom"], other) in seen:
                found.append(Problem(key, f"{entry['fom']} has two requirements for {other}", "keep one"))
                break
            seen[entry["fom"], other] = entry
        if (entry["value"] is None) != (entry["tag"] == "none"):
            found.append(Problem((*key, "tag"), "is at odds with the value",
                                 "tag: none belongs to value: null, and only to it"))
    raise_problems(found, [source], source.path)
    return {fom: entry for (fom, y), entry in seen.items() if y == (year or "Y10")}


def load_board(path=None):
    """Return the rows of the board, from top to bottom (default ``config/board.yaml``).

    Raises
    ------
    StudyError
        If the file is wrong, a case is there twice, or a cell that is measured lacks what selects
        its number.
    """
    data, source = load_checked(path or CONFIG_DIR / "board.yaml", "board")
    found = []
    cases = [row["case"] for row in data["rows"]]
    for number, row in enumerate(data["rows"]):
        if cases.index(row["case"]) != number:
            found.append(Problem(("rows", number, "case"), f"{row['case']!r} is there twice", "keep one row"))
        for stage, cell in row["cells"].items():
            key = ("rows", number, "cells", stage)
            if cell["foms"][0] != cell["fom"]:
                found.append(Problem((*key, "foms"), f"does not begin with the headline {cell['fom']}",
                                     "put the headline first"))
            if row["not_built"] is None:
                found += [Problem(key, f"the key {name!r} is missing",
                                  "add it, or say not_built: and why") for name in ("headline_term", "data")
                          if name not in cell]
            if bool(cell["published"]) == (cell["published_tag"] == "none"):
                found.append(Problem((*key, "published_tag"), "is at odds with `published`",
                                     "none belongs to an empty text, and only to it"))
    raise_problems(found, [source], source.path)
    return data["rows"]
