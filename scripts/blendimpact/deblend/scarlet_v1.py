"""Adapter of scarlet 1 (Melchior et al. 2018), where it is installed."""

from contextlib import suppress

import numpy as np

from ..config.options import Child, Count, NotNegative, Positive
from ..errors import MissingPackage, StudyError
from . import DEBLENDERS
from .external import ExternalDeblender, Fit, load

INSTALL = """git clone https://github.com/pmelchior/scarlet && cd scarlet && git checkout 998ca34
  pip install pybind11 peigen setuptools wheel autograd proxmin
  pip install --no-build-isolation --no-deps .
  (run the study from another directory than that checkout)"""


@DEBLENDERS.register("scarlet")
class ScarletDeblender(ExternalDeblender):
    """scarlet 1: free-form, positive, monotonic morphologies with one spectrum each.

    The package is on no package index; the `scarlet` of PyPI is an unrelated content management
    system. The call sequence is that of scarlet's own quick start: `Frame` with a narrow Gaussian
    model PSF, `Observation`, `initialization.init_all_sources`, `Blend.fit`; a model is rendered
    into the observation's PSFs.

    Parameters
    ----------
    max_components : int
        Components of a source of high signal-to-noise ratio. With numpy 2.4, scarlet 998ca34 fails for 2.
    min_snr : float
        Signal-to-noise ratio that each component needs.
    thresh : float
        Of the initial morphologies, in units of the noise.
    max_iter : int
        Steps at most; more flags NOT_CONVERGED.
    e_rel : float
        Relative change of the log-likelihood at which the fit ends.
    model_sigma : float
        Standard deviation of the Gaussian model PSF, in pixels.
    child, threshold, link, most, margin, core
        See `ExternalDeblender`.
    """

    requires = "scarlet"

    def __init__(
        self,
        max_components: Count = 1,
        min_snr: NotNegative = 50.0,
        thresh: NotNegative = 1.0,
        max_iter: Count = 200,
        e_rel: Positive = 1e-3,
        model_sigma: Positive = 0.8,
        child: Child = "residual",
        threshold: Positive = 5.0,
        link: Positive = 1.6,
        most: Count = 12,
        margin: NotNegative = 4.0,
        core: NotNegative = 1.0,
    ):
        super().__init__(child, threshold, link, most, margin, core)
        self.max_components, self.min_snr, self.thresh = max_components, min_snr, thresh
        self.max_iter, self.e_rel, self.model_sigma = max_iter, e_rel, model_sigma

    def _load(self):
        remedy = f"install scarlet 1 from source, or choose another deblender:\n  {INSTALL}"
        return load(
            "scarlet",
            ("Blend", "Frame", "GaussianPSF", "ImagePSF", "Observation", "initialization"),
            absent=MissingPackage(
                "the deblender 'scarlet' needs scarlet 1, which is on no package index (`pip "
                "install scarlet` would install an unrelated web CMS)",
                "deblender",
                remedy,
            ),
            wrong=StudyError(
                "the module `scarlet` that is installed is not scarlet 1: most likely it is the "
                "unrelated web CMS that PyPI has under this name, or an old or broken build",
                "deblender",
                f"pip uninstall scarlet; then {remedy}",
            ),
        )

    def _fit(self, package, blend):
        psf = package.GaussianPSF(sigma=(self.model_sigma,) * len(blend.bands))
        frame = package.Frame(blend.images.shape, psf=psf, channels=list(blend.bands))
        observation = package.Observation(
            blend.images, psf=package.ImagePSF(blend.psfs), weights=blend.weights, channels=list(blend.bands)
        ).match(frame)
        sources, skipped = package.initialization.init_all_sources(
            frame,
            [tuple(centre) for centre in blend.centres],
            observation,
            max_components=self.max_components,
            min_snr=self.min_snr,
            thresh=self.thresh,
            fallback=True,
            silent=True,
            set_spectra=False,
        )
        models = [None] * len(blend.centres)
        if not sources:
            return Fit(models, True)
        with suppress(np.linalg.LinAlgError):  # of coincident morphologies: the spectra at the peaks stay
            package.initialization.set_spectra_to_match(sources, observation)
        fitted = package.Blend(sources, observation)
        result = fitted.fit(self.max_iter, e_rel=self.e_rel)
        steps = result[0] if isinstance(result, tuple) else len(fitted.loss)  # older versions return self
        kept = [k for k in range(len(models)) if k not in set(skipped)]
        for k, source in zip(kept, sources, strict=True):
            models[k] = np.asarray(observation.render(source.get_model(frame=frame)))
        return Fit(models, steps < self.max_iter)
