"""Point-symmetric templates that share out the flux of each pixel: the SDSS and HSC kind."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.ndimage import find_objects
from scipy.sparse import csc_array, hstack
from scipy.spatial import cKDTree

from ..config.options import Count, Kernel, Number, Positive, Spectrum
from ..data.significance import BAD, coadd, kernel_pixels, smooth
from ..data.stamps import cut, reaches_outside
from . import DEBLENDERS
from .base import BITS, Children, Deblender, disc
from .footprints import find_parents
from .linear import amplitudes

_HALVES = (4, 8, 12, 16, 24, 32, 48, 64, 96)  # half sizes of template windows: few sizes, few calls
_ELEMENTS = 2_000_000  # pixels of templates that are made at once


@DEBLENDERS.register("symmetric")
class SymmetricDeblender(Deblender):
    """Each source is the smaller of every pair of opposite pixels; pixels are shared in proportion.

    The algorithm of the SDSS photometric pipeline (R. Lupton, unpublished), as HSC runs it (Bosch
    et al. 2018, PASJ 70, S5, section 4.9), written anew. Per band and parent (connected pixels
    above a low threshold of the detection image that hold centres):

    1. the template of a source is T(x) = min(I(x), I(2 c - x)) about its centre c (to the nearest
       half pixel) where both pixels belong to the parent, not below 0;
    2. it is made monotonic: along the ray from the centre, no pixel is brighter than the one
       before it;
    3. amplitudes of all templates of the parent by non-negative least squares, weighted with the
       inverse variance;
    4. of the flux I of a pixel, a source gets I a T / sum a T. Pixels of the parent that no template
       reaches go to the nearest centre of the parent.

    So each pixel of a parent is divided without loss, noise included. A child is its share in its
    own parent, 0 where other parents are, and the pixels as they are, with their noise, in the sky
    and in footprints that hold no centre. Noise in shared pixels is shared too: a child of a crowded
    parent is *less* noisy than the image, and a noise estimate has to come from elsewhere.
    Pixels without data are a T, which the opposite pixel may know, or 0.

    Known faults of the method: min() of two noisy values is biased low for faint sources, light of a
    third source on both sides of a centre passes for the source's own (rows of sources), and
    asymmetric light of a galaxy goes to its neighbours.

    Parameters
    ----------
    threshold, min_area, kernel, disc, sed
        Of the parents: see `footprints.find_parents`.
    smoothing : "psf", "3x3" or None
        Of the image from which templates are made; the pixels that are shared are not smoothed.
    monotonic : bool
        Step 2.
    template : "band" or "coadd"
        "coadd": the templates of all bands are those of the detection image; amplitudes stay per
        band. Better for faint sources, wrong for sources with colour gradients.
    weights : bool
        Step 3; all amplitudes are 1 without, as in HSC's default.
    core : float
        Radius in arcsec about the centre in which pixels without data are flagged.
    """

    def __init__(
        self,
        threshold: Positive = 2.0,
        min_area: Count = 5,
        kernel: Kernel = "3x3",
        disc: Number = 0.8,
        sed: Spectrum = None,
        smoothing: Kernel = None,
        monotonic: bool = True,
        template: Literal["band", "coadd"] = "band",
        weights: bool = True,
        core: Number = 1.0,
    ):
        self.footprints = {"threshold": threshold, "min_area": min_area, "kernel": kernel, "disc": disc, "sed": sed}
        self.smoothing, self.monotonic, self.template = smoothing, monotonic, template
        self.weights, self.core = weights, core

    def deblend(self, patch, sky, centres, stamp_size):
        """Return the `Children` of a patch."""
        children = Children.blank(patch, centres, stamp_size)
        x, y = (np.array(centres[name], dtype=np.float64) for name in ("x", "y"))
        parents = find_parents(patch, sky, children, x, y, **self.footprints)
        if not len(parents.first):
            return children
        xs, ys = x[parents.first], y[parents.first]
        windows = _windows(parents, xs, ys)
        stray = _nearest_centre(parents, xs, ys)
        lit = np.zeros(len(parents.first), dtype=bool)
        planes, goods, variances = [], [], []
        for band, image in patch.bands.items():
            plane = np.asarray(image.science - sky[band] if band in sky else image.science, dtype=np.float64)
            good = ((image.mask & BAD) == 0) & np.isfinite(plane) & (image.variance > 0)
            goods.append(good)
            planes.append(np.where(good, plane, 0.0))
            variances.append(np.where(good, image.variance, np.inf).astype(np.float64))
        sources = zip(planes, variances)
        if self.template == "coadd":
            sources = [coadd(patch, sky, sed=self.footprints["sed"])]
        templates = self._templates(patch, parents, windows, sources)
        for k, (plane, good, variance) in enumerate(zip(planes, goods, variances)):
            template = templates[k % len(templates)]
            amplitude = np.ones(len(lit))
            if self.weights:
                amplitude, _ = amplitudes(template, plane.ravel(), 1 / variance.ravel())
            lit |= amplitude > 0
            self._share(children, k, parents, template @ _diagonal(amplitude), plane, good, stray)
            near = disc(stamp_size, self.core / patch.pixel_scale)
            masked = cut(~good, children.x0, children.y0, stamp_size, False)[:, near].any(axis=1)
            children.status |= np.where(masked, BITS.MASKED, 0).astype(np.int32)
        dark = (parents.source >= 0) & ~lit[parents.source]
        children.status |= np.where(dark, BITS.NO_FLUX, 0).astype(np.int32)
        children.stamps[(children.status & BITS.OUTSIDE) > 0] = 0
        return children

    def _templates(self, patch, parents, windows, planes):
        """Return for each (image, variance) its templates, the columns of a sparse (ny nx, U) array."""
        kernel = kernel_pixels(self.smoothing, patch)
        images = [(smooth(plane, variance, kernel)[0], np.isfinite(variance)) for plane, variance in planes]
        parts = [[] for _ in images]
        for window in windows:
            number = parents.number[window.sources]
            cube = np.concatenate(
                [symmetric_templates(image, good, parents.label, number, window) for image, good in images]
            )
            if self.monotonic:
                decrease(cube)
            for part, templates in zip(parts, np.split(cube, len(images))):
                part.append(_columns(templates, window, patch.shape))
        back = np.argsort(np.concatenate([window.sources for window in windows]), kind="stable")
        return [hstack(part, format="csc")[:, back] for part in parts]

    def _share(self, children, k, parents, template, plane, good, stray):
        """Put the shares of one band into the stamps."""
        total = np.asarray(template.sum(axis=1)).ravel()
        rows = template.indices
        owner = np.repeat(np.arange(template.shape[1]), np.diff(template.indptr))
        usable = good.ravel()[rows]
        value = np.divide(template.data, total[rows], out=np.zeros(len(rows)), where=total[rows] > 0)
        value = np.where(usable, value * plane.ravel()[rows], template.data)
        left = np.flatnonzero((stray >= 0) & (total <= 0))
        rows, owner = np.concatenate([rows, left]), np.concatenate([owner, stray[left]])
        value = np.concatenate([value, plane.ravel()[left]])

        size = children.size
        sky = np.where(parents.label == 0, plane, 0.0)
        children.stamps[:, k] = cut(sky, children.x0, children.y0, size)
        y, x = np.divmod(rows, plane.shape[1])
        by_owner = np.argsort(owner, kind="stable")
        edges = np.searchsorted(owner[by_owner], np.arange(template.shape[1] + 1))
        for n, source in enumerate(parents.source):
            if source < 0:
                continue
            mine = by_owner[edges[source] : edges[source + 1]]
            j, i = y[mine] - children.y0[n], x[mine] - children.x0[n]
            inside = (j >= 0) & (j < size) & (i >= 0) & (i < size)
            children.stamps[n, k, j[inside], i[inside]] += value[mine[inside]]


@dataclass
class _Window:
    """Sources whose templates are made together, on windows of one size.

    The pixel opposite to column c of a window is column width - 1 - c of the window at (xm, ym).
    """

    sources: np.ndarray
    width: int
    x0: np.ndarray
    y0: np.ndarray
    xm: np.ndarray
    ym: np.ndarray


def _windows(parents, x, y):
    """Return the windows of all sources: as wide as a symmetric part of the parent can be."""
    boxes = [(b[1].start, b[1].stop - 1, b[0].start, b[0].stop - 1) for b in find_objects(parents.label)]
    left, right, bottom, top = np.array(boxes)[parents.number - 1].T
    reach = np.maximum(np.minimum(x - left, right - x), np.minimum(y - bottom, top - y))
    kind = np.minimum(np.searchsorted(_HALVES, np.ceil(reach) + 1), len(_HALVES) - 1)
    windows = []
    for k in np.unique(kind):
        width = 2 * _HALVES[k] + 1
        members = np.flatnonzero(kind == k)
        for sources in np.array_split(members, -(-len(members) * width**2 // _ELEMENTS)):
            x0, y0 = (np.floor(c[sources] + 0.5).astype(np.int64) - width // 2 for c in (x, y))
            xm, ym = (
                np.floor(2 * c[sources] + 0.5).astype(np.int64) - c0 - (width - 1) for c, c0 in ((x, x0), (y, y0))
            )
            windows.append(_Window(sources, width, x0, y0, xm, ym))
    return windows


def symmetric_templates(image, good, label, number, window):
    """Return min(I(x), I(2 c - x)) of the sources of a window.

    Parameters
    ----------
    image : (ny, nx) array
        Sky-subtracted.
    good : (ny, nx) bool array
        Pixels with data. Where one of two opposite pixels has none, the other is taken.
    label : (ny, nx) int array
        Parent of each pixel.
    number : (n,) int array
        Parent of each source.
    window : _Window
        Of n sources.

    Returns
    -------
    (n, width, width) array
        Not negative; 0 outside of the parent or where the opposite pixel is outside of it.
    """
    image = np.where(good, image, np.inf)
    both = []
    for x0, y0 in ((window.x0, window.y0), (window.xm, window.ym)):
        own = cut(label, x0, y0, window.width) == number[:, None, None]
        both.append((cut(image, x0, y0, window.width), own))
    (value, own), (opposite, own_opposite) = both
    least = np.minimum(value, opposite[:, ::-1, ::-1])
    return np.where(own & own_opposite[:, ::-1, ::-1] & np.isfinite(least), np.maximum(least, 0.0), 0.0)


def decrease(templates):
    """Make templates monotonic along rays from their central pixel, in place.

    Ring by ring (|dx| or |dy| = r), each pixel is cut at the value where the ray to the centre
    crosses the ring before, interpolated between its two pixels there.

    Parameters
    ----------
    templates : (n, w, w) array
        w odd.
    """
    half = templates.shape[-1] // 2
    for r in range(1, half + 1):
        along = np.arange(-r, r + 1)
        inner = along * (r - 1) / r
        low = np.floor(inner).astype(int)
        high, part = np.minimum(low + 1, r - 1), inner - low
        for sign in (-1, 1):
            for view in (templates, templates.transpose(0, 2, 1)):
                line = view[:, half + sign * (r - 1)]
                limit = (1 - part) * line[:, half + low] + part * line[:, half + high]
                outer = view[:, half + sign * r, half - r : half + r + 1]
                np.minimum(outer, limit, out=outer)


def _columns(templates, window, shape):
    """Return templates as the columns of a sparse (ny nx, n) array, pixels off the image left out."""
    n, width = len(templates), window.width
    yy = window.y0[:, None, None] + np.arange(width)[:, None]
    xx = window.x0[:, None, None] + np.arange(width)
    pixel = yy * shape[1] + xx
    inside = templates > 0
    if reaches_outside(window.x0, window.y0, width, shape).any():
        inside &= (yy >= 0) & (yy < shape[0]) & (xx >= 0) & (xx < shape[1])
    starts = np.concatenate([[0], np.cumsum(np.count_nonzero(inside.reshape(n, -1), axis=1))])
    return csc_array((templates[inside], pixel[inside], starts), shape=(shape[0] * shape[1], n))


def _diagonal(values):
    n = len(values)
    return csc_array((values, np.arange(n), np.arange(n + 1)), shape=(n, n))


def _nearest_centre(parents, x, y):
    """Return for each pixel of a parent the nearest source of that parent, -1 elsewhere."""
    out = np.full(parents.label.size, -1)
    pixels = np.flatnonzero(parents.label)
    row, column = np.divmod(pixels, parents.label.shape[1])
    # A third coordinate that keeps parents apart makes one tree do for all.
    far = 4.0 * max(parents.label.shape)
    tree = cKDTree(np.column_stack([x, y, far * parents.number]))
    out[pixels] = tree.query(np.column_stack([column, row, far * parents.label.flat[pixels]]))[1]
    return out
