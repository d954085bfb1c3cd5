"""What adapters of other people's deblenders share: one blend at a time goes in, models come out."""

import importlib
import logging
import warnings
from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import label

from ..config.options import Child, Count, NotNegative, Positive
from ..fitting.canvas import Canvas, on_image
from ..fitting.parents import group, significance
from .base import BITS, Children, Deblender


@dataclass
class Blend:
    """One parent, cut out of a patch.

    Attributes
    ----------
    images : (nbands, h, w) float32 array
        Sky-subtracted, in units of ``canvas.scale``, the models of brighter blends subtracted; 0
        without data.
    weights : (nbands, h, w) float32 array
        Inverse variances; 0 without data and in other footprints whose light is not modelled (yet).
    psfs : (nbands, k, k) float32 array
        Unit sum, k odd.
    bands : tuple of str
        Names.
    centres : (n, 2) float64 array
        Row and column (y, x) in the cut-out.
    """

    images: np.ndarray
    weights: np.ndarray
    psfs: np.ndarray
    bands: tuple
    centres: np.ndarray


@dataclass
class Fit:
    """What came of a blend.

    Attributes
    ----------
    models : list of (nbands, h, w) array or None
        Of each centre, convolved with the PSF of each band, in the units of `Blend.images`; None: no
        model could be made.
    converged : bool
        Whether the fit ended before its limit of steps.
    """

    models: list = field(default_factory=list)
    converged: bool = True


class ExternalDeblender(Deblender):
    """Fits models parent by parent with a package that is installed apart from the study.

    Centres in one footprint of the PSF-smoothed multi-band detection image, or within ``link`` of each
    other, are a parent; one of more than ``most`` is split and flagged SPLIT. Parents are fitted from
    the brightest to the faintest, each on a cut-out with a margin; the models of those before are
    subtracted and the other footprints have no weight. A parent whose fit fails for
    whatever reason flags its own children FAILED and no others.

    A member of the family derives from it and has `_load` and `_fit`.

    Parameters
    ----------
    child : "residual", "apportion" or "model"
        See `blendimpact.fitting.canvas.Canvas.children`.
    threshold : float
        Of the parents' footprints, in standard deviations.
    link : float
        Arcsec.
    most : int
        Sources that are fitted at once.
    margin : float
        Arcsec around the parent's centres.
    core : float
        Radius in arcsec about the centre in which pixels without data are flagged.
    """

    def __init__(
        self,
        child: Child = "residual",
        threshold: Positive = 5.0,
        link: Positive = 1.6,
        most: Count = 12,
        margin: NotNegative = 4.0,
        core: NotNegative = 1.0,
    ):
        self.child, self.threshold, self.link = child, threshold, link
        self.most, self.margin, self.core = most, margin, core
        self._package = None

    @abstractmethod
    def _load(self):
        """Return the package, or raise a StudyError that says how to install it."""

    @abstractmethod
    def _fit(self, package, blend):
        """Return the `Fit` of a `Blend`; may raise whatever it likes."""

    def deblend(self, patch, sky, centres, stamp_size):
        """Return the `Children` of a patch.

        Raises
        ------
        StudyError
            If the package is not installed.
        """
        if self._package is None:
            self._package = self._load()
        children = Children.blank(patch, centres, stamp_size)
        rows = on_image(children)
        x, y = (np.asarray(centres[name], dtype=float)[rows] for name in ("x", "y"))
        image = significance(patch, sky)
        scale = patch.pixel_scale
        column, row = (np.floor(c + 0.5).astype(int) for c in (x, y))
        height, margin = image[row, column], round(self.margin / scale)
        parents = group(x, y, image, self.threshold, self.link / scale, self.most)
        parents.sort(key=lambda parent: -height[parent.members].max())
        territory = _territories(image > self.threshold, parents, row, column)

        canvas = Canvas(patch, sky, 0)
        flags = np.zeros(len(rows), dtype=np.int32)
        for number, parent in enumerate(parents, 1):
            members = parent.members
            flags[members] |= BITS.SPLIT if parent.split else 0
            place = tuple(
                slice(max(0, c[members].min() - margin), min(n, c[members].max() + margin + 1))
                for c, n in zip((row, column), patch.shape)
            )
            weights = canvas.weight[(slice(None), *place)] * (territory[place] <= number)
            blend = Blend(
                canvas.residual(place),
                weights,
                canvas.psfs.astype(np.float32),
                tuple(patch.bands),
                np.column_stack([y[members] - place[0].start, x[members] - place[1].start]),
            )
            flags[members] |= self._one(blend, canvas, place, members)
        children.status[rows] |= flags
        canvas.children(children, rows, self.child, self.core)
        children.stamps[(children.status & BITS.FAILED) > 0] = 0
        return children

    def _one(self, blend, canvas, place, members):
        """Fit one blend, put its models on the canvas and return the flags of its members."""
        flags = np.zeros(len(members), dtype=np.int32)
        logging.getLogger("scarlet").setLevel(logging.CRITICAL)  # what goes wrong is in the flags
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                fit = self._fit(self._package, blend)
        except Exception:  # a foreign package may raise anything, and one blend must not end the chunk
            return flags | BITS.FAILED
        flags |= 0 if fit.converged else BITS.NOT_CONVERGED
        for k, (member, model) in enumerate(zip(members, fit.models, strict=True)):
            if model is None:
                flags[k] |= BITS.FAILED
            elif not np.isfinite(model).all():
                flags[k] |= BITS.FAILED | BITS.NOT_FINITE
            else:
                flags[k] |= 0 if (model > 0).any() else BITS.NO_FLUX
                canvas.add(member, place, np.asarray(model, dtype=np.float32))
        return flags


def _territories(footprint, parents, row, column):
    """Return for each pixel the first of the parents, from 1, that have a centre in its footprint.

    0 in the sky; a number beyond the last in footprints without centres, whose light has no model.
    """
    labels, count = label(footprint, np.ones((3, 3)))
    first = np.full(count + 1, len(parents) + 1)
    for number, parent in reversed(list(enumerate(parents, 1))):
        first[labels[row[parent.members], column[parent.members]]] = number
    first[0] = 0
    return first[labels]


def load(module, needed, absent, wrong):
    """Import a package that may be absent, or be another one of the same name.

    Parameters
    ----------
    module : str
        Import path.
    needed : sequence of str
        Names that the right package has.
    absent, wrong : StudyError
        Raised if it cannot be imported, or lacks a name.

    Returns
    -------
    module
    """
    try:
        package = importlib.import_module(module)
    except ModuleNotFoundError as error:
        # Of the module itself or a parent of it: absent. Of something that it imports: broken.
        missing = error.name or ""
        raise (absent if module == missing or module.startswith(f"{missing}.") else wrong) from error
    except Exception as error:  # an unrelated package may fail in its own way when it is imported
        raise wrong from error
    if not all(hasattr(package, name) for name in needed):
        raise wrong
    return package
