"""Adapters of scarlet and scarlet_lite: what they say when absent, and how blends go in and come out.

The packages are on no package index. Most tests therefore put a stand-in in their place: a module that has
the names and signatures that the adapters call and fits point sources. It tests the adapters, not
scarlet. The last tests run the packages themselves where they are installed.
"""

import sys
import types

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.deblend import DEBLENDERS
from blendimpact.deblend.base import BITS
from blendimpact.deblend.external import _territories
from blendimpact.errors import StudyError
from blendimpact.fitting.parents import Parent
from blendimpact.measure.photometry import circular
from blendimpact.stats.streams import stream
from patch_maker import PSF_SIGMA, gaussian, make_patch, peak_snr_flux, scene

SHAPE = (110, 170)
SIZE = 41
FLUX = peak_snr_flux(200)
ADAPTERS = ("scarlet", "scarlet_lite")
STARS = [(40.0, 60.0, FLUX), (46.0, 62.0, 0.5 * FLUX), (120.0, 30.0, 2 * FLUX)]


def noise(*key):
    return stream(1, "test_adapters", *key).normal(size=SHAPE)


def centres(*xy):
    x, y = np.array(xy, dtype=float).reshape(-1, 2).T
    return Table({"det_id": np.arange(len(x)) + 3, "x": x, "y": y})


def two_band_patch(stars=STARS):
    return make_patch({"g": scene(SHAPE, stars) + noise("g"), "i": 3 * scene(SHAPE, stars) + noise("i")})


def flux(children, k, centre, band):
    x, y = (np.array([c - o]) for c, o in zip(centre, (children.x0[k], children.y0[k])))
    stamp = children.stamps[k : k + 1, band]
    return circular(stamp, np.ones_like(stamp), x, y, 6.0)[0][0]


# ------------------------------------------------------------------------------------- absence


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_absent_package_is_asked_for_with_an_exact_recipe(name, monkeypatch):
    for module in ("scarlet", "lsst", "lsst.scarlet", "lsst.scarlet.lite"):
        monkeypatch.setitem(sys.modules, module, None)  # import then fails as if it were not installed
    deblender = DEBLENDERS.create(name)  # making it costs no import
    with pytest.raises(StudyError) as error:
        deblender.deblend(two_band_patch(), {}, centres((40, 60)), SIZE)
    text = str(error.value)
    assert "on no package index" in text and "git checkout" in text and "--no-build-isolation" in text
    assert "scarlet" in text
    if name == "scarlet":
        assert "unrelated web CMS" in text and "pip uninstall" not in text


def test_the_web_cms_of_the_same_name_is_recognised(monkeypatch):
    cms = types.ModuleType("scarlet")
    cms.VERSION = "1.2.7"
    monkeypatch.setitem(sys.modules, "scarlet", cms)
    with pytest.raises(StudyError, match="unrelated web CMS") as error:
        DEBLENDERS.create("scarlet").deblend(two_band_patch(), {}, centres((40, 60)), SIZE)
    assert "pip uninstall scarlet" in str(error.value)


def test_a_package_of_that_name_that_cannot_even_be_imported_is_recognised(monkeypatch, tmp_path):
    (tmp_path / "scarlet").mkdir()
    (tmp_path / "scarlet" / "__init__.py").write_text("import django_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "scarlet", raising=False)
    with pytest.raises(StudyError, match="is not scarlet 1"):
        DEBLENDERS.create("scarlet").deblend(two_band_patch(), {}, centres((40, 60)), SIZE)
    monkeypatch.delitem(sys.modules, "scarlet", raising=False)


# ----------------------------------------------------------------------------------- stand-ins


def point_models(images, weights, places):
    """Linear fit of Gaussian point sources: what both stand-ins do instead of scarlet's fit."""
    shape = images.shape[1:]
    profiles = [gaussian(shape, x, y, 1.0, PSF_SIGMA).ravel() for y, x in places]
    models = np.zeros((len(places), *images.shape))
    for b in range(len(images)):
        w = np.sqrt(weights[b].ravel())
        amplitude = np.linalg.lstsq(np.array(profiles).T * w[:, None], images[b].ravel() * w)[0]
        models[:, b] = [a * p.reshape(shape) for a, p in zip(amplitude, profiles)]
    return models


class StandIn:
    """Records what it was asked for; ``fail``: raise for blends of that many sources."""

    def __init__(self):
        self.blends, self.fail, self.skip, self.steps, self.broken = [], (), (), 5, False

    def fit(self, images, weights, psfs, bands, places):
        self.blends.append((images, weights, psfs, bands, places))
        if len(places) in self.fail:
            raise ArithmeticError("NaN in a gradient")
        models = point_models(images, weights, places)
        if self.broken:
            models[0] = np.nan
        return models


def scarlet_stand_in(record):
    module = types.ModuleType("scarlet")

    class Frame:
        def __init__(self, shape, channels, wcs=None, psf=None):
            assert len(channels) == shape[0] == len(psf.sigma)
            self.shape = shape

    class GaussianPSF:
        def __init__(self, sigma, integrate=True, boxsize=None):
            self.sigma = sigma

    class ImagePSF:
        def __init__(self, image):
            self.image = image

    class Observation:
        def __init__(self, data, channels, psf=None, weights=None, wcs=None, padding=10):
            self.data, self.channels, self.psf, self.weights = data, channels, psf, weights

        def match(self, frame):
            assert frame.shape == self.data.shape
            return self

        def render(self, model):
            return model

    class Source:
        def __init__(self, place):
            self.place, self.model = place, None

        def get_model(self, frame=None):
            assert frame.shape == self.model.shape
            return self.model

    def init_all_sources(
        frame,
        centers,
        observations,
        thresh=1,
        max_components=1,
        min_components=1,
        min_snr=50,
        shifting=False,
        resizing=True,
        boxsize=None,
        fallback=True,
        silent=False,
        set_spectra=True,
    ):
        skipped = [k for k in range(len(centers)) if len(centers) > 1 and k in record.skip]
        return [Source(c) for k, c in enumerate(centers) if k not in skipped], skipped

    def set_spectra_to_match(sources, observations):
        raise np.linalg.LinAlgError("Singular matrix")

    class Blend:
        def __init__(self, sources, observation):
            self.sources, self.observation, self.loss = sources, observation, []

        def fit(self, max_iter=200, e_rel=1e-3):
            o = self.observation
            models = record.fit(o.data, o.weights, o.psf.image, o.channels, [s.place for s in self.sources])
            for source, model in zip(self.sources, models):
                source.model = model
            self.loss = [0.0] * min(max_iter, record.steps)
            return len(self.loss), 0.0

    module.Frame, module.GaussianPSF, module.ImagePSF = Frame, GaussianPSF, ImagePSF
    module.Observation, module.Blend = Observation, Blend
    module.initialization = types.SimpleNamespace(
        init_all_sources=init_all_sources, set_spectra_to_match=set_spectra_to_match
    )
    return {"scarlet": module}


def lite_stand_in(record):
    module = types.ModuleType("lsst.scarlet.lite")

    class Box:
        def __init__(self, shape, origin=(0, 0)):
            self.shape = shape

    class Image:
        def __init__(self, data):
            self.data = data

        def project(self, bands=None, bbox=None):
            assert self.data.shape[1:] == bbox.shape
            return self

    class Observation:
        def __init__(
            self,
            images,
            variance,
            weights,
            psfs,
            model_psf=None,
            noise_rms=None,
            bbox=None,
            bands=None,
            padding=3,
            convolution_mode="fft",
        ):
            assert images.shape == variance.shape == weights.shape and model_psf.shape[0] == 1
            assert (variance > 0).all() and images.dtype == weights.dtype == np.float32
            self.images, self.weights, self.psfs, self.bands, self.bbox = images, weights, psfs, bands, bbox
            self.noise_rms = np.ones(len(bands))

        def convolve(self, image, mode=None):
            return image

    class Source:
        def __init__(self, center):
            assert all(isinstance(c, int) for c in center)
            self.center, self.model, self.is_null = center, None, False

        def get_model(self, use_flux=False):
            return Image(self.model)

    class FactorizedInitialization:
        def __init__(self, observation, centers, min_snr=50, monotonicity=None):
            assert monotonicity is not None
            self.sources = [Source(c) for c in centers]
            for k, source in enumerate(self.sources):
                source.is_null = len(centers) > 1 and k in record.skip

    class Blend:
        def __init__(self, sources, observation):
            self.sources, self.observation = sources, observation

        def fit_spectra(self):
            return self

        def parameterize(self, parameterization):
            parameterization(None)

        def fit(self, max_iter, e_rel=1e-4, min_iter=15, resize=10):
            o = self.observation
            models = record.fit(o.images, o.weights, o.psfs, o.bands, [s.center for s in self.sources])
            for source, model in zip(self.sources, models):
                source.model = model
            return min(max_iter, record.steps), 0.0

        def conserve_flux(self):
            record.conserved = True

    module.Box, module.Blend, module.Observation = Box, Blend, Observation
    module.initialization = types.SimpleNamespace(FactorizedInitialization=FactorizedInitialization)
    module.operators = types.SimpleNamespace(Monotonicity=lambda shape: shape)
    module.component = types.SimpleNamespace(default_adaprox_parameterization=lambda component, noise_rms: None)
    module.utils = types.SimpleNamespace(integrated_circular_gaussian=lambda sigma: np.ones((15, 15)) / 225)
    lsst, scarlet = types.ModuleType("lsst"), types.ModuleType("lsst.scarlet")
    lsst.scarlet, scarlet.lite = scarlet, module
    return {"lsst": lsst, "lsst.scarlet": scarlet, "lsst.scarlet.lite": module}


@pytest.fixture(params=ADAPTERS)
def adapter(request, monkeypatch):
    """Return (name, record) with the stand-in of one package installed."""
    record = StandIn()
    stand_in = {"scarlet": scarlet_stand_in, "scarlet_lite": lite_stand_in}[request.param]
    for name, module in stand_in(record).items():
        monkeypatch.setitem(sys.modules, name, module)
    return request.param, record


def test_blends_go_in_as_cut_outs_and_come_out_as_children(adapter):
    name, record = adapter
    patch = two_band_patch()
    children = DEBLENDERS.create(name).deblend(patch, {}, centres(*[s[:2] for s in STARS]), SIZE)
    assert (children.status & ~BITS.EDGE == 0).all()
    for k, (x, y, total) in enumerate(STARS):
        assert flux(children, k, (x, y), 0) == pytest.approx(total, rel=0.03)
        assert flux(children, k, (x, y), 1) == pytest.approx(3 * total, rel=0.03)
    # The brighter parent first; places are (y, x) in a cut-out that has a margin of 4 arcsec = 20 pixels.
    sizes = [len(blend[4]) for blend in record.blends]
    assert sizes == [1, 2]
    images, weights, psfs, bands, places = record.blends[1]
    assert tuple(bands) == ("g", "i") and images.shape == weights.shape == (2, 43, 47)
    assert psfs.shape == (2, 41, 41) and psfs.sum(axis=(1, 2)) == pytest.approx([1, 1])
    assert [tuple(np.round(p)) for p in places] == [(20, 20), (22, 26)]
    assert images[1, 20, 20] == pytest.approx(patch.bands["i"].science[60, 40], rel=1e-5)


def test_kinds_of_children(adapter):
    name, _ = adapter
    patch = two_band_patch()
    table = centres(*[s[:2] for s in STARS])
    kinds = {
        kind: DEBLENDERS.create(name, {"child": kind}).deblend(patch, {}, table, SIZE).stamps
        for kind in ("model", "residual", "apportion")
    }
    assert kinds["model"][0, 0, 0, 0] == pytest.approx(0, abs=1e-3)
    assert kinds["residual"][:, :, :8, :8].std() == pytest.approx(1.0, rel=0.2)  # the noise of the scene stays
    with pytest.raises(StudyError, match=f"deblenders.{name}.child"):
        DEBLENDERS.create(name, {"child": "all"})


def test_a_failing_blend_flags_its_own_children_and_no_others(adapter):
    name, record = adapter
    record.fail = (2,)
    children = DEBLENDERS.create(name).deblend(two_band_patch(), {}, centres(*[s[:2] for s in STARS]), SIZE)
    assert [bool(s & BITS.FAILED) for s in children.status] == [True, True, False]
    assert not children.stamps[:2].any()
    assert flux(children, 2, STARS[2][:2], 0) == pytest.approx(STARS[2][2], rel=0.03)


def test_sources_without_a_model_keep_their_place(adapter):
    name, record = adapter
    record.skip = (0,)
    children = DEBLENDERS.create(name).deblend(two_band_patch(), {}, centres(*[s[:2] for s in STARS]), SIZE)
    assert [bool(s & BITS.FAILED) for s in children.status] == [True, False, False]
    assert flux(children, 2, STARS[2][:2], 0) == pytest.approx(STARS[2][2], rel=0.03)


def test_unfinished_and_not_finite_fits_are_outcomes(adapter):
    name, record = adapter
    record.steps, record.broken = 10**6, True
    children = DEBLENDERS.create(name, {"max_iter": 7}).deblend(
        two_band_patch(), {}, centres(*[s[:2] for s in STARS]), SIZE
    )
    assert (children.status & BITS.NOT_CONVERGED).all()
    assert [bool(s & BITS.NOT_FINITE) for s in children.status] == [True, False, True]
    assert np.isfinite(children.stamps).all()


def test_large_parents_are_split_and_flagged(adapter):
    name, record = adapter
    stars = [(30.0 + 7 * k, 60.0, FLUX) for k in range(6)]
    children = DEBLENDERS.create(name, {"most": 3}).deblend(
        two_band_patch(stars), {}, centres(*[s[:2] for s in stars]), SIZE
    )
    assert (children.status & BITS.SPLIT).all() and max(len(b[4]) for b in record.blends) <= 3
    assert len(record.blends) >= 2


def test_pixels_without_data_and_centres_off_the_image(adapter):
    name, record = adapter
    patch = two_band_patch()
    for image in patch.bands.values():
        image.mask[58:60, 41:43] = 1
        image.science[58:60, 41:43] = np.nan
    table = centres(*[s[:2] for s in STARS], (-50.0, 10.0), (np.nan, 5.0))
    children = DEBLENDERS.create(name).deblend(patch, {}, table, SIZE)
    assert children.status[0] & BITS.MASKED and (children.status[3:] & BITS.OUTSIDE).all()
    assert np.isfinite(children.stamps).all() and not children.stamps[3:].any()
    for images, weights, *_ in record.blends:
        assert np.isfinite(images).all() and (weights >= 0).all()
    assert (record.blends[1][1][:, 18:20, 21:23] == 0).all()
    assert len(DEBLENDERS.create(name).deblend(patch, {}, table[:0], SIZE)) == 0


def test_footprints_without_a_model_have_no_weight():
    footprint = np.zeros((6, 12), bool)
    footprint[1:3, 1:3] = footprint[1:3, 5:7] = footprint[4, 9:11] = True
    parents = [Parent(np.array([0]), False), Parent(np.array([1]), False)]
    got = _territories(footprint, parents, np.array([1, 2]), np.array([5, 2]))
    assert got[1, 5] == 1 and got[2, 2] == 2 and got[4, 9] == 3 and got[0, 0] == 0


def test_lite_can_share_out_the_pixels_by_its_own_rule(monkeypatch):
    record = StandIn()
    for name, module in lite_stand_in(record).items():
        monkeypatch.setitem(sys.modules, name, module)
    DEBLENDERS.create("scarlet_lite", {"conserve_flux": True, "child": "model"}).deblend(
        two_band_patch(), {}, centres((40.0, 60.0)), SIZE
    )
    assert record.conserved


# ----------------------------------------------------------------------- the packages themselves


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_package_itself_where_it_is_installed(name):
    deblender = DEBLENDERS.create(name)
    try:
        deblender._load()
    except StudyError as error:
        pytest.skip(f"{error.what}")
    patch = two_band_patch()
    children = deblender.deblend(patch, {}, centres(*[s[:2] for s in STARS]), SIZE)
    assert not (children.status & (BITS.FAILED | BITS.NOT_FINITE)).any()
    for k, (x, y, total) in enumerate(STARS):
        assert flux(children, k, (x, y), 0) == pytest.approx(total, rel=0.15)
        assert flux(children, k, (x, y), 1) == pytest.approx(3 * total, rel=0.15)
