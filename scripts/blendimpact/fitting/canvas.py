"""The pixels of a patch beside the models of its sources, and the child images that follow from both."""

import numpy as np
from scipy.ndimage import gaussian_filter

from ..data.children import BITS
from ..data.significance import BAD
from ..data.stamps import cut, disc, masked_stamps

SHARE = 0.1  # sky sigmas per pixel: below it, light is not apportioned


class Canvas:
    """Sky-subtracted pixels of all bands with a margin around them, and the sum of the present models.

    Parameters
    ----------
    patch : Patch
    sky : dict of str to (ny, nx) array
    pad : int
        Width of the margin in pixels. Its weight is 0.
    floor : float
        Error of the models themselves, as a share of the light in a pixel (smoothed with a Gaussian of 1 pixel):
        it is added to the noise in quadrature, so that what no profile describes in the core of a bright
        galaxy does not decide about its neighbours.

    Attributes
    ----------
    data, weight, model : (nbands, ny + 2 pad, nx + 2 pad) float32 array
        In units of ``scale``; weights are inverse variances, floor included, 0 without data.
    noise_weight : array
        Weights without the floor.
    scale : (nbands,) array
        Median noise per pixel of each band.
    psfs : (nbands, k, k) array
        PSF of each band, unit sum.
    fwhm : float
        Of the Gaussian with the noise-equivalent area of the sharpest PSF, in pixels.
    """

    def __init__(self, patch, sky, pad, floor=0.0):
        images = list(patch.bands.values())
        ny, nx = patch.shape
        self.patch, self.pad, self.pixel = patch, pad, images[0].pixel_scale
        shape = len(images), ny + 2 * pad, nx + 2 * pad
        self.data, self.weight, self.model = (np.zeros(shape, np.float32) for _ in range(3))
        self.scale = np.ones(len(images))
        self._drawn = {}
        size = max(image.psf.shape[0] for image in images)
        self.psfs = np.zeros((len(images), size, size))
        for k, image in enumerate(images):
            margin = (size - image.psf.shape[0]) // 2
            usable = bool(np.isfinite(image.psf).all()) and image.psf.sum() > 0
            psf = image.psf / image.psf.sum() if usable else disc(image.psf.shape[0], 0)
            self.psfs[k, margin : size - margin, margin : size - margin] = psf
            variance = np.asarray(image.variance, dtype=np.float64)
            light = image.science - sky[image.band] if image.band in sky else image.science
            good = ((image.mask & BAD) == 0) & np.isfinite(light) & np.isfinite(variance) & (variance > 0)
            if not (usable and good.any()):
                continue  # no weight: the band says nothing
            self.scale[k] = np.sqrt(np.median(variance[good]))
            inside = k, slice(pad, pad + ny), slice(pad, pad + nx)
            self.data[inside] = np.where(good, light, 0) / self.scale[k]
            self.weight[inside] = np.where(good, self.scale[k] ** 2 / np.where(good, variance, 1), 0)
        self.noise_weight = self.weight
        if floor:
            light = gaussian_filter(self.data, (0, 1.0, 1.0))
            self.weight = self.weight / (1 + self.weight * (floor * light) ** 2)
        self.fwhm = 2.355 / np.sqrt(4 * np.pi * (self.psfs**2).sum(axis=(1, 2)).max())

    def residual(self, place):
        """Return the data without all present models in ``place`` (two slices of the padded arrays)."""
        return self.data[(slice(None), *place)] - self.model[(slice(None), *place)]

    def add(self, source, place, image):
        """Put the model of a source (nbands, h, w) in ``place``, instead of the one it may have."""
        self.remove(source)
        self.model[(slice(None), *place)] += image
        self._drawn[source] = place, image

    def remove(self, source):
        """Take the model of a source off."""
        if source in self._drawn:
            place, image = self._drawn.pop(source)
            self.model[(slice(None), *place)] -= image

    def own(self, source, x0, y0, size):
        """Return a source's model, (nbands, size, size), in the window that begins at pixel x0, y0."""
        stamp = np.zeros((len(self.scale), size, size), np.float32)
        if source in self._drawn:
            (rows, columns), image = self._drawn[source]
            dy, dx = rows.start - self.pad - y0, columns.start - self.pad - x0
            h, w = image.shape[1:]
            a, b, c, d = max(0, dy), min(size, dy + h), max(0, dx), min(size, dx + w)
            if b > a and d > c:
                stamp[:, a:b, c:d] = image[:, a - dy : b - dy, c - dx : d - dx]
        return stamp

    def children(self, children, rows, kind, core):
        """Fill the child images of the sources that have models.

        Parameters
        ----------
        children : Children
            As `Children.blank` returns them; changed in place.
        rows : (N,) int array
            Row of ``children`` of source 0, 1, ...
        kind : str
            "residual": observed pixels minus the models of all other sources; the noise of the scene stays.
            "model": the source's own model. "apportion": own model plus the source's share of what no model
            explains: its share of the modelled light where there is light, all of it in the sky.
        core : float
            Radius in arcsec about the centre in which a pixel without data is flagged. Such pixels
            hold the source's model, in every kind; pixels outside of the image hold 0.

        Returns
        -------
        Children
        """
        size = children.size
        missing = [masked_stamps(image, children.x0, children.y0, size) for image in self.patch.bands.values()]
        on_image = cut(np.ones(self.patch.shape, bool), children.x0, children.y0, size, False)
        near = disc(size, core / self.pixel)
        for masked in missing:
            children.status |= np.where(masked[:, near].any(axis=1), BITS.MASKED, 0).astype(np.int32)
        for source, row in enumerate(rows):
            x0, y0 = int(children.x0[row]), int(children.y0[row])
            place = tuple(slice(v + self.pad, v + self.pad + size) for v in (y0, x0))
            own = self.own(source, x0, y0, size)
            child = own
            if kind != "model":
                child = self._window(self.data, place) - self._window(self.model, place)
                if kind == "apportion":
                    total = np.maximum(self._window(self.model, place), own)
                    child *= (np.maximum(own, 0) + SHARE) / (np.maximum(total, 0) + SHARE)
                child = child + own
            child = np.where(np.stack([m[row] for m in missing]), own, child)
            children.stamps[row] = np.where(on_image[row], child * self.scale[:, None, None], 0)
        return children

    def _window(self, array, place):
        """Return a copy of a window that may reach over the padded array's edge."""
        (a, b), (c, d) = ((s.start, s.stop) for s in place)
        window = np.zeros((len(array), b - a, d - c), np.float32)
        rows, columns = (
            slice(max(0, low), min(n, high)) for low, high, n in ((a, b, array.shape[1]), (c, d, array.shape[2]))
        )
        inner = slice(rows.start - a, rows.stop - a), slice(columns.start - c, columns.stop - c)
        window[(slice(None), *inner)] = array[:, rows, columns]
        return window


def on_image(children):
    """Return the rows of the centres that are on the image: those that can be modelled."""
    return np.flatnonzero((children.status & BITS.OUTSIDE) == 0)
