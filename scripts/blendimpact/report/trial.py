"""Pictures of one plug-in on one patch."""

import numpy as np
from matplotlib.figure import Figure

from .panel import to_rgb


def _noise(patch):
    return np.array([np.sqrt(np.median(image.variance)) for image in patch.bands.values()])


def draw_detections(patch, true_xy, found_xy, title):
    """Return a figure of a patch with its true sources (crosses) and detections (circles), positions in pixels."""
    figure = Figure(figsize=(7, 7.3), layout="constrained")
    axis = figure.subplots()
    axis.imshow(to_rgb([image.science for image in patch.bands.values()], _noise(patch)), origin="lower")
    axis.plot(*true_xy.T, "+", color="w", ms=6, mew=0.8, label="true source")
    axis.plot(*found_xy.T, "o", color="orange", mfc="none", ms=11, label="detection")
    axis.set(
        title=title,
        xlabel="x (pixels)",
        ylabel="y (pixels)",
        xlim=(-0.5, patch.shape[1] - 0.5),
        ylim=(-0.5, patch.shape[0] - 0.5),
    )
    axis.legend(loc="upper right")
    return figure


def draw_children(patch, children, exact, which, residual, title):
    """Return a figure of the children ``which``: the scene, the exact child, the child, and what is wrong with it."""
    figure = Figure(figsize=(10, 2.7 * len(which) + 0.7), layout="constrained")
    axes, noise = figure.subplots(len(which), 4, squeeze=False), _noise(patch)
    size = children.size
    for row, k in zip(axes, which):
        corner = np.array([children.y0[k], children.x0[k]])
        low, high = np.maximum(corner, 0), np.minimum(corner + size, patch.shape)
        scene = np.zeros((len(noise), size, size))
        inside = tuple(slice(*ends) for ends in zip(low - corner, high - corner))
        for b, image in enumerate(patch.bands.values()):
            scene[(b, *inside)] = image.science[low[0] : high[0], low[1] : high[1]]
        wrong = children.stamps[k] - exact.stamps[k]
        for axis, stamp, name in zip(
            row,
            (scene, exact.stamps[k], children.stamps[k]),
            ("scene", "exact child", f"child, flux {100 * residual[k]:+.0f} %"),
        ):
            axis.imshow(to_rgb(stamp, noise), origin="lower")
            axis.set_title(name, fontsize=9)
        row[3].imshow(wrong[-1] / noise[-1], origin="lower", cmap="RdBu_r", vmin=-5, vmax=5)
        row[3].set_title(f"child - exact child, {list(patch.bands)[-1]}, ±5 σ", fontsize=9)
        for axis in row:
            axis.set_axis_off()
    figure.suptitle(f"{title}\nthe {len(which)} largest flux residuals", fontsize=10)
    return figure


def draw_difference(science, template, difference, true_xy, found_xy, title):
    """Return a figure of a visit, its template and the difference over its noise."""
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    axes = figure.subplots(1, 3)
    planes = (
        science.science / np.sqrt(np.median(science.variance)),
        template.science / np.sqrt(np.median(template.variance)),
        difference.image / np.sqrt(np.maximum(difference.variance, np.finfo(np.float32).tiny)),
    )
    for axis, plane, name, limit in zip(axes, planes, ("visit", "template", "difference"), (20, 20, 6)):
        axis.imshow(
            np.where(np.isfinite(plane), plane, 0),
            origin="lower",
            cmap="gray_r" if limit == 20 else "RdBu_r",
            vmin=-limit if limit == 6 else -3,
            vmax=limit,
        )
        axis.set_title(f"{name} / noise, to {limit} σ", fontsize=9)
        axis.set_axis_off()
    axes[2].plot(*true_xy.T, "+", color="k", ms=9, label="transient")
    axes[2].plot(*found_xy.T, "o", color="orange", mfc="none", ms=12, label="candidate")
    axes[2].legend(loc="upper right", fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure


def draw_sample(patch, sample, band, title):
    """Return a figure of a patch with the sources of a sample, how many they are by magnitude, and their sizes."""
    mag, size = (np.asarray(sample[name], float) for name in (f"mag_{band}", "hlr"))
    known, extended = np.isfinite(mag), size > 0
    figure = Figure(figsize=(12 if extended.any() else 8.4, 4.4), layout="constrained")
    image, counts, *sizes = figure.subplots(1, 3 if extended.any() else 2)
    image.imshow(to_rgb([one.science for one in patch.bands.values()], _noise(patch)), origin="lower")
    image.plot(np.asarray(sample["x"]), np.asarray(sample["y"]), "o", color="orange", mfc="none", ms=7, mew=0.6)
    image.set(title="the patch; circles: the sample inside the border", xlabel="x (pixels)", ylabel="y (pixels)")
    if known.any():
        counts.hist(mag[known], np.arange(np.floor(mag[known].min()), np.ceil(mag[known].max()) + 0.5, 0.5))
    counts.set(title=f"N = {len(sample)}", xlabel=f"{band} (mag)", ylabel="sources per 0.5 mag")
    for axis in sizes:
        axis.semilogy(mag[extended], size[extended], ".", ms=4)
        axis.set(title=f"N = {extended.sum()} extended", xlabel=f"{band} (mag)", ylabel="half-light radius (arcsec)")
    figure.suptitle(title, fontsize=10)
    return figure
