"""Survey definitions: closed forms, published numbers, and what a wrong file says."""

import resource
from pathlib import Path

import galsim
import numpy as np
import pytest
import yaml
from blendimpact.config import surveys
from blendimpact.config.files import CONFIG_DIR
from blendimpact.config.models import read
from blendimpact.config.surveys import SurveyBand, SurveyFile, load_survey
from blendimpact.data.psf import psf_object, psf_pixels
from blendimpact.errors import StudyError
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = sorted(p.stem for p in (CONFIG_DIR / "surveys").glob("*.yaml"))
FROM_CODEX = {"lsst_y10_ideal": "LSST", "des": "DES", "hsc": "HSC", "roman": "Roman_WFI", "euclid_vis": "Euclid_VIS"}

# Depth of the idealised ten-year coadd with a Gaussian PSF, its sky per pixel, and the depth that Rubin
# forecasts: all computed or read independently of this code.
GAUSSIAN_DEPTH = {"u": 26.67, "g": 27.47, "r": 27.38, "i": 26.89, "z": 26.20, "y": 25.31}
SKY = {"u": 1612, "g": 24790, "r": 130617, "i": 188799, "z": 257811, "y": 298745}
FORECAST = {"u": 25.73, "g": 26.86, "r": 26.88, "i": 26.34, "z": 25.63, "y": 24.87}


def gaussian_neff(band):
    """Return the noise-effective area in pixels of a Gaussian PSF, without pixel response: 4 pi s^2."""
    return 4 * np.pi * (band.fwhm / (2 * np.sqrt(2 * np.log(2))) / band.pixel_scale) ** 2


def test_the_surveys_of_the_study_are_there():
    assert {"lsst_y10_ideal", "lsst_y10_forecast", "lsst_y1", "des", "hsc"} <= set(NAMES)


@pytest.mark.parametrize("band", SKY)
def test_ideal_survey_reproduces_the_reference_table(band):
    ideal = load_survey("lsst_y10_ideal").band(band)
    assert ideal.sky_electrons == pytest.approx(SKY[band], abs=1)
    assert ideal.depth(gaussian_neff(ideal)) == pytest.approx(GAUSSIAN_DEPTH[band], abs=0.02)
    # the real profile has wings: it is shallower than the Gaussian of the same FWHM
    assert 0.15 < GAUSSIAN_DEPTH[band] - ideal.depth() < 0.21


@pytest.mark.parametrize("name, codex", FROM_CODEX.items())
def test_inputs_agree_with_surveycodex(name, codex):
    surveycodex = pytest.importorskip("surveycodex")
    survey, reference = load_survey(name), surveycodex.get_survey(codex)
    assert survey.pixel_scale == pytest.approx(reference.pixel_scale.value)
    assert list(survey.bands) == reference.available_filters
    for band in survey.bands.values():
        other = reference.get_filter(band.name)
        assert band.exposure == other.full_exposure_time.value
        assert band.sky_brightness == other.sky_brightness.value
        assert band.zero_point_electrons == other.zeropoint.value
        assert band.fwhm == other.psf_fwhm.value


@pytest.mark.parametrize("name", NAMES)
def test_stated_depth_is_what_the_definition_gives(name):
    for band in load_survey(name).bands.values():
        assert band.depth() == pytest.approx(band.depth_5sigma, abs=0.006), band.name
        assert band.depth_reference


@pytest.mark.parametrize("name", ["lsst_y10_ideal", "hsc"])
def test_depth_is_the_matched_filter_limit_of_a_drawn_star(name):
    for band in load_survey(name).bands.values():
        flux = 10 ** (-0.4 * (band.depth_5sigma - band.zero_point))
        star = flux * psf_object(band.psf_model).drawImage(nx=201, ny=201, scale=band.pixel_scale, dtype=float).array
        assert np.sqrt(np.sum(star**2)) / band.sky_sigma == pytest.approx(5, rel=0.01)


def test_noise_and_gain_obey_poisson_statistics():
    band = load_survey("lsst_y10_ideal").band("i")
    # sky in nJy times gain is sky in electrons, whose variance is its mean
    sky_nanojansky = 10 ** (-0.4 * (band.sky_brightness - 31.4)) * band.pixel_scale**2
    assert sky_nanojansky * band.gain == pytest.approx(band.sky_electrons)
    assert (band.sky_sigma * band.gain) ** 2 == pytest.approx(band.sky_electrons)
    # a source of the zero point's magnitude gives one electron per second
    flux = 10 ** (-0.4 * (band.zero_point_electrons - band.zero_point))
    assert flux * band.gain == pytest.approx(band.exposure)


def test_forecast_has_rubins_depths_and_only_a_shorter_exposure():
    ideal, forecast = load_survey("lsst_y10_ideal"), load_survey("lsst_y10_forecast")
    for name, depth in FORECAST.items():
        band, base = forecast.band(name), ideal.band(name)
        assert band.depth_5sigma == depth
        assert band.depth() == pytest.approx(depth, abs=1e-6)
        assert 0.2 < band.exposure / base.exposure < 0.7
        assert band.psf_model == base.psf_model and band.sky_brightness == base.sky_brightness
        assert band.sky_sigma / base.sky_sigma == pytest.approx((base.exposure / band.exposure) ** 0.5)


def test_one_year_is_a_tenth_of_the_forecast():
    ten, one = load_survey("lsst_y10_forecast"), load_survey("lsst_y1")
    for name, band in one.bands.items():
        assert band.exposure == pytest.approx(ten.band(name).exposure / 10)
        assert band.depth() == pytest.approx(FORECAST[name] - 1.25, abs=1e-6)
    assert one.year == "Y1" and ten.year == "Y10"


@pytest.mark.parametrize("name", NAMES)
def test_fwhm_of_the_psf_on_pixels_is_the_stated_one(name):
    for band in load_survey(name).bands.values():
        assert psf_object(band.psf_model).calculateFWHM() == pytest.approx(band.fwhm, rel=1e-3)
        drawn = galsim.Image(psf_pixels(band.psf_model, band.pixel_scale, 81), scale=band.pixel_scale)
        measured = galsim.InterpolatedImage(drawn, x_interpolant="lanczos5").calculateFWHM()
        pixel = galsim.Pixel(band.pixel_scale)
        fine = galsim.Convolve(psf_object(band.psf_model), pixel).drawImage(
            scale=band.pixel_scale / 20, method="no_pixel"
        )
        if band.fwhm > 2 * band.pixel_scale:  # else the pixels do not sample the profile
            assert measured == pytest.approx(fine.calculateFWHM(), rel=5e-3)
        assert band.fwhm < fine.calculateFWHM() < np.hypot(band.fwhm, 0.97 * band.pixel_scale)


def test_des_depth_agrees_with_the_published_aperture_depth():
    """S/N = 10 in an aperture of 1.95 arcsec diameter (DES DR2); idealised, so perhaps a little deeper."""
    for band in load_survey("des").bands.values():
        aperture = np.pi * (1.95 / 2 / band.pixel_scale) ** 2
        assert -0.05 < band.depth(aperture, snr=10) - band.published_depth < 0.35, band.name


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_reference(name):
    data = yaml.safe_load((CONFIG_DIR / "surveys" / f"{name}.yaml").read_text())
    numbers = {k for k in ("pixel_scale", "exposure_scale", "match_depth") if k in data}
    numbers |= {k for band in data.get("bands", {}).values() for k in band}
    assert numbers <= set(data["references"])
    survey = load_survey(name)
    assert {"pixel_scale", "exposure", "sky_brightness", "zero_point_electrons", "psf"} <= set(survey.reference)
    assert all(r["text"] for r in survey.reference.values())


def test_read_noise_adds_to_that_of_the_sky(tmp_path):
    bands = yaml.safe_load((CONFIG_DIR / "surveys/hsc.yaml").read_text())["bands"]
    quiet = load_survey("hsc").band("i")
    bands["i"]["read_noise"] = float(np.sqrt(3 * quiet.sky_electrons))
    references = yaml.safe_load((CONFIG_DIR / "surveys/hsc.yaml").read_text())["references"]
    path = write(tmp_path, bands=bands, references=references | {"read_noise": {"text": "t"}})
    noisy = load_survey(path).band("i")
    assert noisy.sky_sigma == pytest.approx(2 * quiet.sky_sigma) and noisy.gain == quiet.gain
    assert noisy.depth() == pytest.approx(quiet.depth() - 2.5 * np.log10(2))
    longer = {"name": "longer", "title": "t", "base": "mine", "match_depth": {"i": 27.0}}
    longer["references"] = {"match_depth": {"text": "x"}}
    (tmp_path / "longer.yaml").write_text(yaml.safe_dump(longer))
    assert load_survey(tmp_path / "longer.yaml").band("i").depth() == pytest.approx(27.0)


def write(folder, name="mine", **changes):
    """Write a survey file like the HSC one with changes; return its path."""
    data = yaml.safe_load((CONFIG_DIR / "surveys/hsc.yaml").read_text())
    data |= {"name": name, **changes}
    path = Path(folder) / f"{name}.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in data.items() if v is not None}, sort_keys=False))
    return path


def test_a_survey_of_the_users_own(tmp_path):
    survey = load_survey(write(tmp_path))
    assert survey.name == "mine"
    hsc = load_survey("hsc").band("i")
    assert isinstance(survey.band("i"), SurveyBand)
    assert survey.band("i").sky_sigma == hsc.sky_sigma
    based = {
        "name": "half",
        "title": "t",
        "base": "mine",
        "exposure_scale": 0.5,
        "references": {"exposure_scale": {"text": "ours"}},
    }
    (tmp_path / "half.yaml").write_text(yaml.safe_dump(based))
    half = load_survey(tmp_path / "half.yaml").band("i")
    assert half.gain == pytest.approx(hsc.gain / 2)
    assert half.depth() == pytest.approx(hsc.depth() - 1.25 * np.log10(2))


def narrow(fwhm, kind="kolmogorov", **more):
    """Return the change of a survey to one band with this PSF."""
    band = {"exposure": 600, "sky_brightness": 21.4, "zero_point_electrons": 28.9, "depth_5sigma": 26.0}
    return {"bands": {"g": {**band, "psf": {"kind": kind, "fwhm": fwhm, **more}}}}


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"bands": {"g": {"exposure": 600}}}, ["bands.g", "sky_brightness", "missing"]),
        ({"pixelscale": 0.2}, ["pixelscale", "did you mean 'pixel_scale'"]),
        ({"pixel_scale": 0}, ["pixel_scale", "at least 0.005"]),
        ({"references": {"pixel_scale": {"text": "x"}}}, ["references", "exposure"]),
        ({"exposure_scale": 0.5}, ["exposure_scale", "base"]),
        ({"bands": None}, ["bands", "missing"]),
        (narrow(0.0003), ["bands.g.psf.fwhm", "is 0.0003, 0.00179 pixels of 0.168 arcsec", "0.126 to 2.18 arcsec"]),
        (narrow(3.0), ["bands.g.psf.fwhm", "17.9 pixels"]),
        (narrow(1.0, kind="moffat", beta=1.2), ["bands.g.psf.beta", "at least 2"]),
        ({"pixel_scale": 60}, ["pixel_scale", "at most 5"]),
    ],
)
def test_a_wrong_survey_file_says_what_is_wrong(tmp_path, changes, says):
    path = write(tmp_path, **changes)
    with pytest.raises(StudyError) as error:
        load_survey(path)
    for words in [*says, path.name]:
        assert words in str(error.value)


def test_unknown_names_are_answered_with_the_known_ones(tmp_path):
    with pytest.raises(StudyError, match="lsst_y10_ideal"):
        load_survey("lsst_y10_idael")
    with pytest.raises(StudyError, match="no band 'q'.*"):
        load_survey("hsc").band("q")
    circle = {"title": "t", "exposure_scale": 1, "references": {"exposure_scale": {"text": "x"}}}
    for name, base in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, "base": base, **circle}))
    with pytest.raises(StudyError, match="own base"):
        load_survey(tmp_path / "a.yaml")
    deep = {
        "name": "deep",
        "title": "t",
        "base": "hsc",
        "match_depth": {"u": 26.0},
        "references": {"match_depth": {"text": "x"}},
    }
    (tmp_path / "deep.yaml").write_text(yaml.safe_dump(deep))
    with pytest.raises(StudyError, match=r"deep\.yaml:\d+: match_depth.u"):
        load_survey(tmp_path / "deep.yaml")


JUNK = st.one_of(st.floats(1e-6, 1e6), st.sampled_from([0.0, -1.0, 1e300, 0.0003, 1.01]))
RANGES = {
    "pixel_scale": (0.005, 5),
    "fwhm": (0.004, 60),
    "beta": (1.9, 6),
    "exposure": (1e-3, 1e9),
    "sky_brightness": (5, 40),
    "zero_point_electrons": (10, 45),
    "depth_5sigma": (5, 45),
    "read_noise": (0, 1e6),
}


@st.composite
def survey_numbers(draw):
    """Return numbers of a survey, most of them within the limits; the FWHM in pixels where it is."""
    found = {key: draw(st.floats(*limits)) for key, limits in RANGES.items()}
    found["fwhm"] = found["pixel_scale"] * draw(st.floats(0.5, 16))
    for key in draw(st.sets(st.sampled_from(list(RANGES)), max_size=1)):
        found[key] = draw(JUNK)
    return found


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["kolmogorov", "moffat"]), survey_numbers())
def test_any_survey_can_be_drawn_in_little_memory_or_is_refused_with_its_keys(kind, numbers):
    """Memory of Python and of the libraries: the largest of the process, which must not grow by 100 MB."""
    scale, fwhm, beta = (numbers.pop(key) for key in ("pixel_scale", "fwhm", "beta"))
    band = {"psf": {"kind": kind, "fwhm": fwhm, "beta": beta}, **numbers}
    text = {key: {"text": "t"} for key in ("pixel_scale", "psf", *numbers)}
    data = {"name": "mine", "title": "t", "pixel_scale": scale, "bands": {"g": band}, "references": text}
    found, problems = read(data, SurveyFile)
    assert all(p.key[0] in ("pixel_scale", "bands") and p.key != ("bands",) and p.what for p in problems)
    if problems:
        return
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    band = surveys._band("g", found.bands["g"], scale, "t")
    pixels = psf_pixels(band.psf_model, scale)
    assert np.isfinite(pixels).all() and 0 < band.sky_sigma < np.inf
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100e3  # kB
