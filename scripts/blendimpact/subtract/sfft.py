"""Adapter of SFFT (Hu, Wang, Chen & Yang 2022) on CPU, where the package is installed."""

import contextlib
import importlib
import io
import warnings

import numpy as np

from ..config.options import Count, NotNegative, Positive, Whole
from ..errors import MissingPackage
from . import SUBTRACTORS
from .base import BITS, failed, prepare
from .kernels import DELTA, Filter, width
from .stamps import MIN_STAMPS, choose
from .whiten import whiten

INSTALL = "pip install sfft==1.7.3"
_MODULES = {
    "configure": "sfft.sfftcore.SFFTConfigure",
    "subtract": "sfft.sfftcore.SFFTSubtract",
    "read": "sfft.utils.SFFTSolutionReader",
}


@SUBTRACTORS.register("sfft")
class SfftSubtractor:
    """SFFT: a kernel of delta functions and the background, both polynomials over the image, solved in Fourier space.

    The calls are those of the package's customised packet with its NumPy backend (the default needs a GPU), without
    the files in between. What the kernel is fitted to are square stamps around bright sources, 0 elsewhere, as
    in the masked images that the packet asks for. The image of the better seeing is convolved. Unlike
    `alard_lupton` nothing is done about the noise of the convolved image, which pulls the kernel to 0: its sum
    is low where the stamps are faint.

    Parameters
    ----------
    kernel_half : int, optional
        Half-size of the kernel in pixels; default from the two PSFs, 4 to 10.
    order : int
        Of the kernel's variation over the image. Noise and PSF of the difference are those of its centre.
    background : int
        Order of the background.
    decorrelate : bool
        As in `alard_lupton`.
    registration : float
        RMS registration error along each axis, in pixels, that the search is to allow for.
    stamp_snr : float
        Least signal-to-noise ratio of the stamps' sources, in both images.
    stamp : int
        Side of a stamp in pixels, odd.
    """

    requires = "sfft"

    def __init__(
        self,
        kernel_half: Count | None = None,
        order: Whole = 0,
        background: Whole = 0,
        decorrelate: bool = True,
        registration: NotNegative = 0.0,
        stamp_snr: Positive = 30.0,
        stamp: Count = 41,
    ):
        self.kernel_half, self.order, self.background, self.decorrelate = kernel_half, order, background, decorrelate
        self.registration, self.stamp_snr, self.stamp = registration, stamp_snr, int(stamp) | 1
        self._package, self._compiled = None, {}

    def subtract(self, science, template, static=None):
        """Return the `Difference`.

        Raises
        ------
        MissingPackage
            If the package is not installed, or is another one of this name.
        """
        self._package = self._package or _load()
        pair = prepare(science, template)
        if pair.status & BITS.NO_DATA:
            return failed(pair, 0)
        forward = not pair.status & BITS.TEMPLATE_WORSE
        places = choose(pair, self.stamp, self.stamp_snr)
        if len(places) < MIN_STAMPS:
            return failed(pair, BITS.FAILED | BITS.FEW_STAMPS)
        half = self.kernel_half or int(
            np.clip(np.ceil(2 + 3 * np.sqrt(abs(width(pair.science_psf) ** 2 - width(pair.template_psf) ** 2))), 4, 10)
        )
        fixed, moved = (pair.science, pair.template) if forward else (pair.template, pair.science)
        try:
            with _one_thread(), warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                image, kernel = self._run(fixed, moved, _around(places, self.stamp, pair.bad.shape), half)
        except Exception:  # a foreign package may raise anything: no difference, and it is counted
            return failed(pair, BITS.FAILED)
        if not (np.isfinite(image).all() and np.isfinite(kernel).all()) or kernel.sum() <= 0:
            return failed(pair, BITS.FAILED)
        total = float(kernel.sum())
        matched = Filter(pair.bad.shape, half).convolve(moved, kernel) if self.registration else None
        if forward:
            ks, kt, scale, light = DELTA, kernel, total, matched
        else:
            ks, kt, scale, image, light = kernel / total, DELTA / total, 1 / total, -image / total, fixed / total
        return whiten(
            pair,
            np.where(pair.bad, 0, image),
            light,
            ks,
            kt,
            self.decorrelate,
            registration=self.registration,
            scale=scale,
            report={"stamps": len(places), "kernel_half": half},
        )

    def _run(self, fixed, moved, use, half):
        """Return fixed - kernel * moved - background, and the kernel at the centre; their x is our row."""
        modules, shape = self._package, fixed.shape
        options = {"BACKEND_4SUBTRACT": "Numpy", "NUM_CPU_THREADS_4SUBTRACT": 1, "VERBOSE_LEVEL": 0}
        key = (shape, half)
        if key not in self._compiled:
            self._compiled[key] = modules["configure"].SingleSFFTConfigure.SSC(
                NX=shape[0],
                NY=shape[1],
                KerHW=half,
                KerPolyOrder=self.order,
                BGPolyOrder=self.background,
                ConstPhotRatio=True,
                **options,
            )
        made = self._compiled[key]
        arrays = [np.ascontiguousarray(a, dtype=np.float64) for a in (moved, fixed, moved * use, fixed * use)]
        solution, image = modules["subtract"].GeneralSFFTSubtract.GSS(
            PixA_I=arrays[0],
            PixA_J=arrays[1],
            PixA_mI=arrays[2],
            PixA_mJ=arrays[3],
            SFFTConfig=made,
            ContamMask_I=None,
            **options,
        )[:2]
        facts = made[0]
        centre = np.array([[(shape[0] + 1) / 2, (shape[1] + 1) / 2]])
        kernel = (
            modules["read"]
            .Realize_MatchingKernel(centre)
            .FromArray(
                Solution=solution,
                N0=facts["N0"],
                N1=facts["N1"],
                L0=facts["L0"],
                L1=facts["L1"],
                DK=facts["DK"],
                Fpq=facts["Fpq"],
            )[0]
        )
        return np.asarray(image), np.asarray(kernel)


@contextlib.contextmanager
def _one_thread():
    """Keep quiet and on one thread, and put right what the package does to numba.

    sfft 1.7.3 writes ``numba.set_num_threads = n`` where it means to call it: the number of threads stays as it was
    and the function is gone.
    """
    numba = importlib.import_module("numba")
    call, before = numba.set_num_threads, numba.get_num_threads()
    call(1)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        numba.set_num_threads = call
        call(before)


def _around(places, size, shape):
    """Return 1 in squares about the places, 0 elsewhere."""
    out = np.zeros(shape)
    for row, column in places:
        out[row - size // 2 : row + size // 2 + 1, column - size // 2 : column + size // 2 + 1] = 1
    return out


def _load():
    """Return the package's modules by a short name."""
    remedy = f"{INSTALL} into the study's environment, or choose another subtractor"
    try:
        return {name: importlib.import_module(path) for name, path in _MODULES.items()}
    except ModuleNotFoundError as error:
        what = "the subtractor 'sfft' needs the package sfft, which is not installed"
        if error.name and error.name.split(".")[0] != "sfft":
            what = f"the package sfft cannot be imported: it lacks {error.name}"
        raise MissingPackage(what, "subtractors.sfft", remedy) from error
    except Exception as error:
        raise MissingPackage(f"the package sfft cannot be imported: {error}", "subtractors.sfft", remedy) from error
