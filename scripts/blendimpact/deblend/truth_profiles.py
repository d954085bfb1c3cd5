"""The bound: true profiles, whose amplitudes are all that is fitted."""

import numpy as np
from scipy.sparse import csc_array

from ..config.options import Child, NotNegative, Positive
from ..data.matching import assign
from ..errors import StudyError
from ..fitting.canvas import Canvas, on_image
from ..sky.profiles import draw_source
from . import DEBLENDERS
from .base import BITS, Children, Deblender
from .linear import amplitudes

_SAME = 1e-3  # pixels: a centre that is a true position
_SEEN = 0.01  # sky sigmas per pixel: fainter pixels of a profile are left out of the fit


@DEBLENDERS.register("truth_profiles")
class TruthProfilesDeblender(Deblender):
    """What a deblender could do that knew the profile and the place of every source it is asked about.

    Per band, the amplitudes of the true noiseless profiles are fitted to the pixels of the whole patch
    by linear least squares with inverse-variance weights, all together. No other method that fits
    amplitudes can be less noisy without priors: this is the Cramer-Rao bound of the amplitudes. Models
    are fitted for the sources that the centres stand for and for no others: sources that were not
    detected stay in the pixels, as they do for any deblender.

    A centre at a true position stands for that source. Any other centre stands for the true sources
    that are within ``radius`` of it and nearer to it than to other centres: several, if the
    detector did not separate them, whose light the child then holds together; or none, if it is
    spurious.

    ``deblend`` needs the truth: an image without it cannot be deblended like this, and sources whose
    light is not known (role "context") are not modelled.

    Parameters
    ----------
    radius : float
        Arcsec.
    child : "residual", "apportion" or "model"
        See `blendimpact.fitting.canvas.Canvas.children`.
    core : float
        Radius in arcsec about the centre in which a pixel without data is flagged.
    """

    needs_truth = True

    def __init__(self, radius: Positive = 1.0, child: Child = "residual", core: NotNegative = 1.0):
        self.radius, self.core = radius, core
        self.child = child

    def deblend(self, patch, sky, centres, stamp_size, truth=None):
        """Return the `Children` of a patch.

        Parameters
        ----------
        patch, sky, centres, stamp_size
            As for every deblender.
        truth : astropy.table.Table
            Truth rows of this patch and twin.

        Raises
        ------
        StudyError
            If there is no truth.
        """
        if truth is None:
            raise StudyError(
                "the deblender 'truth_profiles' needs the truth table of the patch",
                "deblender",
                "choose another deblender for images without truth",
            )
        children = Children.blank(patch, centres, stamp_size)
        rows = on_image(children)
        known = truth[np.asarray(truth["role"]).astype(str) != "context"]
        owner = self._owners(patch, known, centres[rows]) if len(known) and len(rows) else np.array([], int)
        used = np.flatnonzero(owner >= 0)
        owner = owner[used]
        sources = _rows(known[used])

        canvas = Canvas(patch, sky, 0)
        models, failed, lit = [], np.zeros(len(used), dtype=bool), np.zeros(len(used), dtype=bool)
        for k, image in enumerate(patch.bands.values()):
            stamps = [_on_image(draw_source(row, image, patch.shear), patch.shape, canvas.scale[k]) for row in sources]
            weight = canvas.weight[k].ravel().astype(np.float64)
            amplitude, solved = amplitudes(
                _columns(stamps, patch.shape), canvas.data[k].ravel(), weight, non_negative=False
            )
            failed |= ~solved
            lit |= amplitude > 0
            models.append([(place, a * array) for a, (place, array) in zip(amplitude, stamps)])
        for member in range(len(rows)):
            own = np.flatnonzero(owner == member)
            if len(own):
                _add(canvas, member, [[band[j] for j in own] for band in models])
                status = (BITS.SINGULAR if failed[own].any() else 0) | (0 if lit[own].any() else BITS.NO_FLUX)
                children.status[rows[member]] |= status
        return canvas.children(children, rows, self.child, self.core)

    def _owners(self, patch, truth, centres):
        """Return for each truth row the number of its centre, -1 if it has none."""
        xy, to = (np.column_stack([np.asarray(t["x"], float), np.asarray(t["y"], float)]) for t in (truth, centres))
        scale = patch.pixel_scale
        owner = np.array(assign(xy, np.zeros(len(xy)), to, radius=self.radius / scale)["det"])
        # Two sources can be in one place, so a centre at a true position is looked up by its number.
        number = {int(i): k for k, i in enumerate(centres["det_id"])}
        for j, source_id in enumerate(np.asarray(truth["source_id"]).tolist()):
            k = number.get(source_id)
            if k is not None and np.hypot(*(to[k] - xy[j])) < _SAME:
                owner[j] = k
        return owner


def _rows(table):
    """Return the rows of a table as dicts."""
    columns = [np.asarray(table[name]).tolist() for name in table.colnames]
    return [dict(zip(table.colnames, row)) for row in zip(*columns)]


def _on_image(stamp, shape, scale):
    """Return (rows, columns) slices and the pixels of a stamp that are on the image, over ``scale``."""
    place, part = [], []
    for first, length, size in ((stamp.y0, stamp.array.shape[0], shape[0]), (stamp.x0, stamp.array.shape[1], shape[1])):
        low, high = min(max(first, 0), size), min(max(first + length, 0), size)
        place.append(slice(low, high))
        part.append(slice(low - first, high - first))
    return tuple(place), stamp.array[tuple(part)] / scale


def _columns(stamps, shape):
    """Return the pixels of stamps that matter to the fit as the columns of a sparse array."""
    values, pixels, starts = [np.empty(0)], [np.empty(0, np.int64)], [0]
    for (rows, columns), array in stamps:
        y, x = np.nonzero(array > _SEEN)
        values.append(array[y, x])
        pixels.append((y + rows.start) * shape[1] + x + columns.start)
        starts.append(starts[-1] + len(y))
    return csc_array((np.concatenate(values), np.concatenate(pixels), starts), shape=(shape[0] * shape[1], len(stamps)))


def _add(canvas, member, bands):
    """Put the sum of the members' stamps, (rows, columns) and pixels per band, on the canvas."""
    places = [place for band in bands for place, _ in band]
    box = tuple(
        slice(min(place[axis].start for place in places), max(place[axis].stop for place in places)) for axis in (0, 1)
    )
    image = np.zeros((len(bands), *(s.stop - s.start for s in box)), np.float32)
    for k, band in enumerate(bands):
        for (rows, columns), array in band:
            image[
                k,
                rows.start - box[0].start : rows.stop - box[0].start,
                columns.start - box[1].start : columns.stop - box[1].start,
            ] += array
    canvas.add(member, box, image)
