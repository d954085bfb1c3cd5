"""Adapter of scarlet_lite, the deblender of LSST's pipelines, where it is installed."""

from functools import partial

import numpy as np

from ..config.options import Child, Count, NotNegative, Positive
from ..errors import MissingPackage, StudyError
from . import DEBLENDERS
from .external import ExternalDeblender, Fit, load

INSTALL = """git clone https://github.com/lsst/scarlet_lite && cd scarlet_lite && git checkout 6ebf1fc
  (Debian: apt-get install libeigen3-dev g++)
  pip install pybind11 setuptools wheel lsst-versions
  EIGEN_INCLUDE=/usr/include/eigen3 pip install --no-build-isolation --no-deps ."""


@DEBLENDERS.register("scarlet_lite")
class ScarletLiteDeblender(ExternalDeblender):
    """scarlet_lite: scarlet's factorised models, with proximal Adam and without automatic gradients.

    On no package index, GPL-3: the study does not contain it and needs it only where this deblender
    is asked for. The call sequence is that of LSST's `meas_extensions_scarlet`: chi^2 initialization,
    linear spectra, `default_adaprox_parameterization`, `Blend.fit`. (The FISTA parameterization
    collapses with inverse-variance weights.) Centres are whole pixels, as scarlet_lite has them.

    Parameters
    ----------
    min_snr : float
        Signal-to-noise ratio that each component needs; two components need twice as much.
    max_iter : int
        Steps at most; more flags NOT_CONVERGED.
    e_rel : float
        Relative change of the log-likelihood at which the fit ends. LSST's default; 1e-4 is slower
        and fits real galaxies better.
    model_sigma : float
        Standard deviation of the Gaussian model PSF, in pixels.
    conserve_flux : bool
        Make the models share out the flux of the pixels (`Blend.conserve_flux`), as LSST does before
        it measures. The same as ``child: apportion`` with scarlet_lite's own rule.
    child, threshold, link, most, margin, core
        See `ExternalDeblender`.
    """

    requires = "lsst.scarlet.lite"

    def __init__(
        self,
        min_snr: NotNegative = 50.0,
        max_iter: Count = 300,
        e_rel: Positive = 1e-3,
        model_sigma: Positive = 0.8,
        conserve_flux: bool = False,
        child: Child = "residual",
        threshold: Positive = 5.0,
        link: Positive = 1.6,
        most: Count = 30,
        margin: NotNegative = 4.0,
        core: NotNegative = 1.0,
    ):
        super().__init__(child, threshold, link, most, margin, core)
        self.min_snr, self.max_iter, self.e_rel = min_snr, max_iter, e_rel
        self.model_sigma, self.conserve_flux = model_sigma, conserve_flux
        self._monotonicity = None

    def _load(self):
        remedy = f"install it from source, or choose another deblender:\n  {INSTALL}"
        package = load(
            "lsst.scarlet.lite",
            ("Blend", "Box", "Observation", "component", "initialization", "operators"),
            absent=MissingPackage(
                "the deblender 'scarlet_lite' needs LSST's scarlet_lite, which is on no package "
                "index (the packages `scarlet` and `scarlet2` of PyPI are others)",
                "deblender",
                remedy,
            ),
            wrong=StudyError(
                "the module `lsst.scarlet.lite` that is installed cannot be used: an old or broken build",
                "deblender",
                remedy,
            ),
        )
        self._monotonicity = package.operators.Monotonicity((101, 101))
        return package

    def _fit(self, package, blend):
        observation = self._observation(package, blend)
        initialization = getattr(package.initialization, "FactorizedChi2Initialization", None)
        initialization = initialization or package.initialization.FactorizedInitialization
        centres = [tuple(int(c) for c in np.floor(centre + 0.5)) for centre in blend.centres]
        sources = initialization(observation, centres, min_snr=self.min_snr, monotonicity=self._monotonicity).sources
        empty = [source is None or source.is_null for source in sources]
        used = [source for source, none in zip(sources, empty) if not none]
        if not used:
            return Fit([None] * len(sources), True)
        fitted = package.Blend(used, observation)
        fitted.fit_spectra()
        fitted.parameterize(
            partial(package.component.default_adaprox_parameterization, noise_rms=observation.noise_rms / 10)
        )
        steps, _ = fitted.fit(self.max_iter, e_rel=self.e_rel)
        if self.conserve_flux:
            fitted.conserve_flux()
        models = [None if none else self._model(source, observation) for source, none in zip(sources, empty)]
        return Fit(models, steps < self.max_iter)

    def _observation(self, package, blend):
        narrow = package.utils.integrated_circular_gaussian(sigma=self.model_sigma)[None].astype(np.float32)
        psfs = blend.psfs
        if hasattr(package, "ImagePsf"):  # from 2026 on PSFs have a class
            psfs, narrow = package.ImagePsf(psfs, bands=blend.bands), package.ImagePsf(narrow)
        seen = blend.weights > 0
        variance = np.where(seen, 1 / np.where(seen, blend.weights, 1), 1).astype(np.float32)
        return package.Observation(
            images=blend.images,
            variance=variance,
            weights=blend.weights,
            psfs=psfs,
            model_psf=narrow,
            bbox=package.Box(blend.images.shape[1:]),
            bands=blend.bands,
        )

    def _model(self, source, observation):
        if self.conserve_flux:
            return source.get_model(use_flux=True).project(bbox=observation.bbox).data
        return observation.convolve(source.get_model().project(bbox=observation.bbox), mode="real").data
