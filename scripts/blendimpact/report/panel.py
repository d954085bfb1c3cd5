"""The panels of the ladders: one blend or some transients through the rungs, as images."""

from dataclasses import fields
from functools import singledispatch

import numpy as np
from astropy.visualization import make_lupton_rgb
from matplotlib.figure import Figure

from ..ladder.panels import BlendPanel, NoPanel, TransientPanel
from ..ladder.rungs import ORDER, REFERENCE
from .figures import nothing
from .triplets import draw_triplets


@singledispatch
def draw(panel):
    """Return the matplotlib Figure of a panel of `ladder.panels`."""
    raise TypeError(f"nothing draws {panel!r}")


@draw.register
def _(panel: NoPanel):
    return nothing(panel.reason)


@draw.register
def _(panel: BlendPanel):
    return draw_blend(**_values(panel))


@draw.register
def _(panel: TransientPanel):
    return draw_triplets(**_values(panel))


def _values(panel):
    return {field.name: getattr(panel, field.name) for field in fields(panel)}


def to_rgb(stamp, noise):
    """Return an RGB image of a stamp; one band becomes grey.

    Parameters
    ----------
    stamp : (n_bands, S, S) array
        In the order of wavelength: the last band is red.
    noise : (n_bands,) array
        Noise per pixel and band, which sets the stretch.
    """
    scaled = np.asarray(stamp, float) / np.asarray(noise, float)[:, None, None]
    blue, green, red = scaled[0], scaled[len(scaled) // 2], scaled[-1]
    return make_lupton_rgb(red, green, blue, minimum=-1.5, stretch=12, Q=6)


def draw_blend(children, titles, noise, caption, centres=None, scale=0.2, field=None):
    """Draw child images side by side.

    Parameters
    ----------
    children : dict of str to (n_bands, S, S) array
        By rung; rungs that have none (the source was missed) are absent.
    titles : dict of str to str
        Text below each rung's name.
    noise : (n_bands,) array
    caption : str
    centres : (N, 2) array, optional
        Positions in stamp pixels to mark on the scene.
    scale : float
        Arcsec per pixel.
    field : dict, optional
        A cut of the scene to draw below, see `draw_field`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(13, 4.6 if field is None else 8.3), layout="constrained")
    top = figure
    if field is not None:
        top, below = figure.subfigures(2, 1, height_ratios=(1, 0.8))
        draw_field(below, scale=scale, **field)
    axes = top.subplots(2, 4).ravel()
    for axis in axes:
        axis.set_axis_off()
    axes[0].text(0, 0.98, caption, va="top", wrap=True, fontsize=9, transform=axes[0].transAxes)
    for axis, rung in zip(axes[1:], ORDER):
        name = "truth, no noise" if rung == REFERENCE else rung
        axis.set_title(f"{name}\n{titles.get(rung, '')}", fontsize=9)
        if rung not in children:
            axis.text(
                0.5,
                0.5,
                "not detected\nas its own object",
                ha="center",
                va="center",
                fontsize=10,
                transform=axis.transAxes,
            )
            continue
        size = children[rung].shape[-1] * scale
        axis.imshow(to_rgb(children[rung], noise), origin="lower", extent=(0, size, 0, size))
        if centres is not None and rung == "undeblended":
            axis.plot(*(np.asarray(centres).T + 0.5) * scale, "+", color="w", ms=7, mew=0.8)
            axis.set_xlim(0, size)
            axis.set_ylim(0, size)
    return figure


def draw_field(figure, image, residual, noise, true_xy, targets_xy, found_xy, title, scale=0.2):
    """Draw a cut of a scene: its true stars, what was found, and what is left once all fitted stars are taken away.

    Parameters
    ----------
    figure : matplotlib.figure.Figure or SubFigure
    image, residual : (ny, nx) array
        Sky-subtracted.
    noise : float
        Sky noise per pixel: the images are shown from -5 to 50 of it, the residual from -10 to 10.
    true_xy, targets_xy, found_xy : (N, 2) array
        True stars above the truth-side S/N cut, artificial ones among them, and detections, in pixels of the cut.
    title : str
    scale : float
        Arcsec per pixel.
    """
    ny, nx = image.shape
    extent = (0, nx * scale, 0, ny * scale)
    figure.suptitle(title, fontsize=10)
    panels = (
        (image, (-5, 50), "Greys", "image"),
        (image, (-5, 50), "Greys", f"{len(true_xy)} true stars (of artificial ones: {len(targets_xy)}, squares)"),
        (image, (-5, 50), "Greys", f"{len(found_xy)} detections"),
        (residual, (-10, 10), "RdBu_r", "minus the stars fitted to them [sky sigma]"),
    )
    axes = figure.subplots(1, 4, sharex=True, sharey=True)
    for axis, (array, (low, high), colours, text) in zip(axes, panels):
        drawn = axis.imshow(
            array / noise, origin="lower", extent=extent, vmin=low, vmax=high, cmap=colours, interpolation="nearest"
        )
        axis.set_title(text, fontsize=9)
        axis.set_xlabel("arcsec", fontsize=8)
        axis.tick_params(labelsize=8)
    figure.colorbar(drawn, ax=axes, shrink=0.7)
    for axis, xy, mark, colour in (
        (axes[1], true_xy, "+", "#0072B2"),
        (axes[1], targets_xy, "s", "#D55E00"),
        (axes[2], found_xy, "o", "#009E73"),
    ):
        axis.plot(
            *((np.asarray(xy).reshape(-1, 2) + 0.5) * scale).T, mark, mec=colour, mfc="none", ms=6, mew=0.9, ls="none"
        )
    axes[0].set_xlim(extent[:2])
    axes[0].set_ylim(extent[2:])
