"""Models of stars on a canvas: the PSF at any place, as wide as a star is bright."""

import numpy as np

from ..data.psf_shift import ShiftedPsf

HALVES = (12, 20, 40, 80)  # half widths of the models
FAINT = 0.03  # sky sigmas per pixel: models end there


class StarModels:
    """Draws stars on a canvas, each out to where it is lost in the noise.

    Parameters
    ----------
    canvas : Canvas
    psfs : list of (k, k) array
        Unit PSF of each band.
    largest : int
        Half width of the widest model.
    """

    def __init__(self, canvas, psfs, largest):
        self.canvas = canvas
        self._halves = [h for h in HALVES if h < largest] + [largest]
        self._models = [[ShiftedPsf(middle(psf, half), half) for psf in psfs] for half in self._halves]
        # Light of a star of flux 1 at the edge of each model, largest of all bands.
        self._edges = np.array([max(p[len(p) // 2, len(p) // 2 + h] for p in psfs) for h in self._halves])

    def draw(self, stars, positions, flux):
        """Put the models of ``stars`` on the canvas, instead of those they may have.

        Parameters
        ----------
        stars : (n,) int array
            Rows of ``positions`` and ``flux``.
        positions : (N, 2) array
            x, y in pixels.
        flux : (N, nbands) array
            In units of the canvas.
        """
        bright = np.abs(flux[stars]).max(axis=1)
        level = np.minimum(np.searchsorted(-self._edges, -FAINT / np.maximum(bright, 1e-30)), len(self._halves) - 1)
        for k, half in enumerate(self._halves):
            chosen = stars[level == k]
            for begin in range(0, len(chosen), 256):
                rows = chosen[begin : begin + 256]
                cells = np.floor(positions[rows] + 0.5).astype(int)
                shift = (positions[rows] - cells).T
                images = np.stack(
                    [
                        psf.draw(*shift).astype(np.float32) * flux[rows, b, None, None].astype(np.float32)
                        for b, psf in enumerate(self._models[k])
                    ],
                    axis=1,
                )
                low = cells + self.canvas.pad - half
                for star, (x, y), image in zip(rows, low, images):
                    self._show(star, x, y, image)

    def _show(self, star, x, y, image):
        """Draw one model; what reaches over the canvas' margin is left out."""
        _, height, wide = self.canvas.data.shape
        side = image.shape[-1]
        a, b, c, d = max(0, -y), min(side, height - y), max(0, -x), min(side, wide - x)
        self.canvas.add(int(star), (slice(y + a, y + b), slice(x + c, x + d)), image[:, a:b, c:d])


def middle(pixels, half):
    """Return the central (2 half + 1)^2 pixels of a stamp of odd width, or all of it."""
    k = len(pixels) // 2
    half = min(half, k)
    return pixels[k - half : k + half + 1, k - half : k + half + 1]
