"""Differences in HDF5, so that the stages after the subtraction need not make them again."""

import numpy as np

from ..data.reading import reading
from .base import Difference, Noise

_PLANES = ("image", "variance", "mask", "psf")
_NUMBERS = ("scale", "scale_error", "status", "registration")


def write(difference, group):
    """Write a `Difference` into an HDF5 group; what the engine reports of itself is attributes ``report_<name>``."""
    for name in _PLANES:
        group.create_dataset(name, data=getattr(difference, name), track_times=False)
    if difference.static is not None:
        group.create_dataset("static", data=difference.static, track_times=False)
    for number, noise in enumerate(difference.noise):
        for name in ("kernel", "variance"):
            group.create_dataset(f"noise/{number}/{name}", data=getattr(noise, name), track_times=False)
    for name in _NUMBERS:
        group.attrs[name] = getattr(difference, name)
    for name, value in difference.report.items():
        group.attrs[f"report_{name}"] = value


def read(group):
    """Return the `Difference` of an HDF5 group, to the bit as it was written."""
    with reading(group.file.filename, f"a difference in the group {group.name}"):
        return _read(group)


def _read(group):
    planes = {name: group[name][()] for name in _PLANES}
    noise = tuple(
        Noise(group[f"noise/{n}/kernel"][()], group[f"noise/{n}/variance"][()]) for n in range(len(group["noise"]))
    )
    numbers = {name: group.attrs[name].item() for name in _NUMBERS}
    report = {
        name.removeprefix("report_"): np.asarray(value).item()
        for name, value in group.attrs.items()
        if name.startswith("report_")
    }
    return Difference(
        noise=noise, static=group["static"][()] if "static" in group else None, report=report, **planes, **numbers
    )
