"""One blend through the rungs, as images."""

import numpy as np
from astropy.visualization import make_lupton_rgb
from matplotlib.figure import Figure

from ..ladder.rungs import REFERENCE, RUNGS

ORDER = (REFERENCE, *RUNGS)


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


def draw(children, titles, noise, caption, centres=None, scale=0.2):
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

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(13, 4.6 if len(ORDER) < 8 else 5), layout="constrained")
    axes = figure.subplots(2, 4).ravel()
    for axis in axes:
        axis.set_axis_off()
    axes[0].text(0, 0.98, caption, va="top", wrap=True, fontsize=9, transform=axes[0].transAxes)
    for axis, rung in zip(axes[1:], ORDER):
        name = "truth, no noise" if rung == REFERENCE else rung
        axis.set_title(f"{name}\n{titles.get(rung, '')}", fontsize=9)
        if rung not in children:
            axis.text(0.5, 0.5, "not detected\nas its own object", ha="center", va="center", fontsize=10,
                      transform=axis.transAxes)
            continue
        size = children[rung].shape[-1] * scale
        axis.imshow(to_rgb(children[rung], noise), origin="lower", extent=(0, size, 0, size))
        if centres is not None and rung == "undeblended":
            axis.plot(*(np.asarray(centres).T + 0.5) * scale, "+", color="w", ms=7, mew=0.8)
            axis.set_xlim(0, size)
            axis.set_ylim(0, size)
    return figure
