"""YAML files and the messages about them, which name file, line, key and remedy."""

import copy
import difflib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from ..errors import StudyError

CONFIG_DIR = Path(__file__).resolve().parents[3] / "config"


@dataclass(frozen=True)
class Source:
    """A YAML file that was read: its data and the line of each key (a tuple of keys and list indices)."""

    path: str
    data: dict
    lines: dict


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: ``key`` is a tuple of keys and list indices."""

    key: tuple
    what: str
    remedy: str = ""

    def below(self, *key):
        """Return the problem with ``key`` put before its own."""
        return Problem((*key, *self.key), self.what, self.remedy)


def _lines(node, path=()):
    """Yield (key, line) of all that ruamel.yaml has read."""
    mapping = isinstance(node, CommentedMap)
    for key in node if mapping else range(len(node)):
        if key in node.lc.data:  # what a merge key (<<) brings has its line where it was written
            yield (*path, key), (node.lc.key(key) if mapping else node.lc.item(key))[0] + 1
        if isinstance(node[key], (CommentedMap, CommentedSeq)):
            yield from _lines(node[key], (*path, key))


def shown(path):
    """Return a path as a user would type it: relative where it lies below the working directory."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _text(path):
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise StudyError("is not text in UTF-8", f"{shown(path)}:{line}", "save it as UTF-8") from error
    except OSError as error:
        near = sorted(p.name for p in Path(path).parent.glob("*.yaml"))
        raise StudyError(
            f"cannot be read ({error.strerror})",
            shown(path),
            f"give one of {', '.join(near)}" if near else "check the path",
        ) from error


def load_yaml(path):
    """Read a YAML file with a mapping at top level.

    Values are those that PyYAML makes of it, as Snakemake has them: ``on`` is true, ``1e-3`` is text. Lines and
    duplicate keys are found by ruamel.yaml.

    Returns
    -------
    Source

    Raises
    ------
    StudyError
        If the file is missing, not YAML, gives a key twice, holds no mapping, or a number that YAML 1.1 and 1.2
        read differently.
    """
    text = _text(path)
    try:
        tree = YAML(typ="rt", pure=True).load(text)
        data = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        json.dumps(data, default=str, skipkeys=True)  # a circle is a ValueError
        lines = dict(_lines(tree)) if isinstance(tree, CommentedMap) else {}
    except (YAMLError, yaml.YAMLError) as error:
        mark, offset = getattr(error, "problem_mark", None), getattr(error, "position", None)
        line = mark.line if mark else text.count("\n", 0, offset) if isinstance(offset, int) else None
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        if what.startswith("found duplicate key"):
            what = f"the key {what.split(chr(34))[1]!r} is given twice"
        raise StudyError(
            f"not valid YAML: {what}",
            shown(path) if line is None else f"{shown(path)}:{line + 1}",
            "indent with spaces, quote strings with special characters",
        ) from error
    except (RecursionError, TypeError, ValueError) as error:  # a list in itself, a list as a key, 2020-02-31
        raise StudyError(f"not valid YAML: {error}", shown(path), "write keys as plain text, and no circles") from error
    if not isinstance(data, dict):  # its text is not shown: any file can be named by mistake
        held = "nothing" if data is None else "text" if isinstance(data, str) else kind_of(data)
        raise StudyError(f"holds {held} at top level", shown(path), "it must hold keys and values")
    source = Source(shown(path), data, lines)
    raise_problems(list(_surprises(tree, data)), [source])
    return source


def _surprises(tree, data, key=()):
    """Yield the `Problem` of each number that PyYAML makes of what YAML 1.2 has as another: 010 is 8, 1:30 is 90."""
    for name in tree if isinstance(tree, dict) else range(len(tree)):
        if isinstance(data, dict) and name not in data:
            continue
        other, value = tree[name], data[name]
        if isinstance(other, (dict, list)):
            yield from _surprises(other, value, (*key, name))
        elif type(value) in (int, float) and other != value and value == value:
            yield Problem((*key, name), f"would be read as {value}", "write a plain number, or quote it if it is text")


def merge(base, overlay):
    """Return ``base`` with ``overlay`` laid over it, as Snakemake merges configuration files.

    Mappings are merged key by key; anything else (lists too) replaces what was there.
    """
    if not isinstance(base, dict) or not isinstance(overlay, dict):
        return copy.deepcopy(overlay)
    out = {key: copy.deepcopy(value) for key, value in base.items()}
    for key, value in overlay.items():
        out[key] = merge(out.get(key), value) if isinstance(value, dict) else copy.deepcopy(value)
    return out


def kind_of(value):
    """Return what a value is, in words: "the text 'a'", "a list"."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return {list: "a list", dict: "keys and values"}.get(type(value), f"the {type(value).__name__} {value}")


def nearest(word, known):
    """Return advice that names the nearest of the ``known`` words, and all of them."""
    same = [str(k) for k in known if str(k).casefold() == str(word).casefold()]
    close = same or difflib.get_close_matches(str(word), [str(k) for k in known], n=1, cutoff=0.6)
    listed = "known: " + (", ".join(str(k) for k in known) or "none")
    return f"did you mean {close[0]!r}? ({listed})" if close else listed


def locate(key, sources, otherwise="the merged configuration"):
    """Return "file:line" of the last source that holds ``key`` or the longest beginning of it."""
    for length in range(len(key), 0, -1):
        for source in reversed(list(sources)):
            if tuple(key[:length]) in source.lines:
                return f"{source.path}:{source.lines[tuple(key[:length])]}"
    listed = [s.path for s in sources]
    return listed[-1] if listed and not key else otherwise


def raise_problems(found, sources, otherwise="the merged configuration"):
    """Raise one `StudyError` with all problems; its ``problems`` holds them. Return if there is none."""
    if not found:
        return
    entries = []
    for problem in found:
        dotted = ".".join(str(k) if str(k).isprintable() else repr(k) for k in problem.key)
        place = locate(problem.key, sources, otherwise)
        entries.append((problem.what, f"{place}: {dotted}" if dotted else place, problem.remedy))
    if len(entries) == 1:
        error = StudyError(*entries[0])
    else:
        text = [f"{len(entries)} things are wrong:"]
        for what, where, remedy in entries:
            text.append(f"- {where}: {what}" + (f". Remedy: {remedy}" if remedy else ""))
        error = StudyError("\n  ".join(text))
    error.problems = list(found)
    raise error


def find(kind, name):
    """Return the path of a named definition, e.g. ``find("surveys", "hsc")``.

    Parameters
    ----------
    kind : str
        Folder of ``config``: "surveys" or "images".
    name : str or path
        Name of a file of that folder, without ``.yaml``; or the path of a YAML file.

    Raises
    ------
    StudyError
        If there is none; the message lists what there is.
    """
    text = str(name)
    if text.endswith((".yaml", ".yml")) or os.sep in text:
        if not Path(text).is_file() or not text.endswith((".yaml", ".yml")):
            what = "is no YAML file (.yaml)" if Path(text).is_file() else "there is no such file"
            raise StudyError(what, text, f"give the path of a YAML file as those of config/{kind}")
        return Path(text)
    path = CONFIG_DIR / kind / f"{text}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in (CONFIG_DIR / kind).glob("*.yaml"))
        raise StudyError(f"there is no {text!r} in config/{kind}", None, nearest(text, known))
    return path
