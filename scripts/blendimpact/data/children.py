"""Child images: what a deblender makes of a patch, and the HDF5 groups that keep them."""

from dataclasses import dataclass, fields

import numpy as np

from .brief import Brief
from .flags import Bits
from .reading import reading
from .stamps import origins, reaches_outside

BITS = DEBLEND_BITS = Bits(
    {
        0: ("EDGE", "the stamp reaches outside of the image; those pixels are 0"),
        1: ("OUTSIDE", "the centre is not on the image: the child is empty"),
        2: ("MASKED", "pixels near the centre have no data"),
        3: ("NO_FOOTPRINT", "the centre lies in no footprint: the child owns a disc of its own"),
        4: ("SHARED", "another centre lies in the same pixel: both children own the same pixels"),
        5: ("MIRRORED", "pixels near the centre that belong to a neighbour were filled by point symmetry"),
        6: ("CROWDED", "pixels near the centre could not be filled: the child lacks light there"),
        7: ("FAILED", "the deblender could not make this child: its pixels are 0"),
        8: ("NOT_CONVERGED", "the fit of the parent stopped at its limit of steps"),
        9: ("SPLIT", "the parent has more sources than are fitted at once: it was split, neighbours modelled in turn"),
        10: ("SINGULAR", "the parent's equations have no solution: the models are those before"),
        11: ("NO_FLUX", "the fit gives the source no positive flux in any band: its model is empty"),
        12: ("LIMIT", "a parameter of the model stopped at its bound"),
        13: ("POOR_FIT", "the residual at the centre is much larger than the noise: the model lacks what is there"),
        14: ("NOT_FINITE", "the fit of the parent gave NaN or infinity: the models are those before"),
        15: ("UNSPLIT", "the deblender did not separate another centre from this one: both own the same pixels"),
        16: ("DEGENERATE", "another centre is so near that only the sum of both fluxes is known: they share it"),
    }
)


@dataclass(repr=False)
class Children(Brief):
    """One child image per centre, sky-subtracted, in the bands of the patch.

    Attributes
    ----------
    det_id : (N,) int64 array
    x0, y0 : (N,) int64 array
        Pixel of the patch that is the stamp's first; the centre lies in the central pixel.
    stamps : (N, nbands, S, S) float32 array
        Child images, bands in the order of the patch and in their units, S odd. Pixels that are not
        on the image, and pixels without data that could not be filled, are 0.
    status : (N,) int32 array
        Bits of `DEBLEND_BITS`; 0 is fine.
    errors : (N, nbands + 2) float64 array, optional
        Of deblenders that fit: standard deviations of the flux in each band, then of x and y (pixels), marginal over
        the neighbours that were fitted with it.
    """

    det_id: np.ndarray
    x0: np.ndarray
    y0: np.ndarray
    stamps: np.ndarray
    status: np.ndarray
    errors: np.ndarray | None = None

    def __len__(self):
        return len(self.det_id)

    @property
    def size(self):
        """Width S of the stamps in pixels."""
        return self.stamps.shape[-1]

    @classmethod
    def blank(cls, patch, centres, stamp_size):
        """Return children of zeros, with the status bits that follow from the geometry.

        Parameters
        ----------
        patch : Patch
            For its bands and shape.
        centres : astropy.table.Table or dict
            ``det_id``, ``x``, ``y``.
        stamp_size : int
            Odd.
        """
        x, y = (np.array(centres[name], dtype=np.float64) for name in ("x", "y"))
        x0, y0 = origins(x, y, stamp_size)
        ny, nx = patch.shape
        with np.errstate(invalid="ignore"):
            outside = ~((x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5))
        status = np.where(reaches_outside(x0, y0, stamp_size, patch.shape), BITS.EDGE, 0)
        status |= np.where(outside, BITS.OUTSIDE, 0)
        stamps = np.zeros((len(x), len(patch.bands), stamp_size, stamp_size), dtype=np.float32)
        return cls(np.array(centres["det_id"], dtype=np.int64), x0, y0, stamps, status.astype(np.int32))

    def select(self, index):
        """Return the children of ``index``: a boolean mask, integers or a slice."""
        parts = (getattr(self, item.name) for item in fields(self))
        return Children(*(None if part is None else part[index] for part in parts))

    def write(self, group, compression=None):
        """Write to an HDF5 group; the same children give the same bytes.

        Parameters
        ----------
        group : h5py.Group
            Empty.
        compression : str, optional
            HDF5 filter of the stamps. Noise hardly compresses: none by default.
        """
        for item in fields(self):
            if getattr(self, item.name) is None:
                continue
            options = {}
            if item.name == "stamps" and compression and len(self):
                options = {"compression": compression, "shuffle": True, "chunks": (1, *self.stamps.shape[1:])}
            group.create_dataset(item.name, data=getattr(self, item.name), track_times=False, **options)

    @classmethod
    def read(cls, group):
        """Return the children that `write` wrote.

        Raises
        ------
        StudyError
            If the group lacks a part.
        """
        with reading(group.file.filename, f"child images in the group {group.name}"):
            names = [item.name for item in fields(cls) if item.name != "errors" or item.name in group]
            return cls(**{name: group[name][()] for name in names})
