"""scarlet2 deblenders: import without JAX, morphologies, agreement with the joint fit, steps, cache, memory."""

import os
import subprocess
import sys
import zlib

import galsim
import numpy as np
import pytest
from blendimpact.data.children import BITS
from blendimpact.deblend import DEBLENDERS
from blendimpact.errors import StudyError
from blendimpact.fitting import jaxenv
from blendimpact.stats.streams import stream
from galaxy_maker import SCALE, STAMP, aperture_errors, blend, centres, galaxy, pairs

BLOCK_JAX = "import sys; sys.modules['jax'] = None; sys.modules['scarlet2'] = None\n"


def run(code, root, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(root / "scripts"), **environment},
    )


def test_family_is_whole_without_jax_and_says_how_to_get_it(root):
    code = BLOCK_JAX + (
        "from blendimpact.deblend import DEBLENDERS\n"
        "from blendimpact.errors import StudyError\n"
        "assert {'scarlet2_sersic', 'scarlet2_free', 'joint_fit'} <= set(DEBLENDERS.names())\n"
        "DEBLENDERS.create('joint_fit')\n"
        "for name in ('scarlet2_sersic', 'scarlet2_free'):\n"
        "    try:\n        DEBLENDERS.create(name)\n"
        "    except StudyError as error:\n        print(error)\n"
    )
    done = run(code, root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("pip install scarlet2==0.5.1") == 2
    assert "deblenders.scarlet2_free" in done.stdout and "unrelated" in done.stdout


@pytest.mark.slow
def test_importing_the_library_imports_no_jax(root):
    """Its start-up would cost every job 2 CPU-seconds."""
    code = (
        "import pkgutil, sys, importlib, blendimpact\n"
        "skip = ('template', 'morphologies')  # theirs alone; imported when a scarlet2 deblender fits\n"
        "for module in pkgutil.walk_packages(blendimpact.__path__, 'blendimpact.'):\n"
        "    if module.name.rsplit('.')[-1] not in skip:\n        importlib.import_module(module.name)\n"
        "from blendimpact.deblend import DEBLENDERS\nassert 'scarlet2_free' in DEBLENDERS.names()\n"
        "DEBLENDERS.create('joint_fit')\n"
        "print([name for name in ('jax', 'scarlet2', 'numpyro', 'equinox') if name in sys.modules])\n"
    )
    done = run(code, root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_cache_directory_is_of_this_processor(monkeypatch, tmp_path):
    monkeypatch.setenv(jaxenv.CACHE_VARIABLE, str(tmp_path / "elsewhere"))
    assert jaxenv.cache_directory(version="1").parent == tmp_path / "elsewhere"
    assert jaxenv.cache_directory(tmp_path, "1").parent == tmp_path
    assert jaxenv.cache_directory(tmp_path, "1") != jaxenv.cache_directory(tmp_path, "2")
    monkeypatch.delenv(jaxenv.CACHE_VARIABLE)
    assert jaxenv.cache_directory().parent.as_posix() == "results/.cache/jax"


def test_half_written_programs_are_removed_and_no_others(tmp_path):
    whole = zlib.compress(os.urandom(2000))
    for name, content, old in (
        ("whole", whole, 99),
        ("half", whole[:900], 99),
        ("in_writing", whole[:900], 0),
        ("empty", b"", 99),
        ("other_kind", b"\x28\xb5\x2f\xfd", 99),
    ):
        path = tmp_path / f"{name}-cache"
        path.write_bytes(content)
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - old))
    jaxenv.mend(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"whole-cache", "in_writing-cache", "other_kind-cache"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("jax")


@pytest.fixture(scope="module")
def scarlet2(cache):
    pytest.importorskip("scarlet2", reason="scarlet2 is not installed")
    module = jaxenv.scarlet2("test", cache)
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    # A process keeps its first directory and its programs: those of other tests, if they were here before.
    compilation_cache.reset_cache()
    jax.clear_caches()
    return module


@pytest.fixture(scope="module")
def make(scarlet2, cache):
    return lambda name, **options: DEBLENDERS.create(name, {"cache": str(cache), **options})


def test_unwritable_cache_is_an_error(scarlet2, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="BLENDIMPACT_JAX_CACHE"):
        jaxenv.scarlet2("test", tmp_path / "file" / "below")


@pytest.mark.parametrize(("hlr", "n"), [(0.0, 1.0), (0.3, 1.0), (0.5, 3.0)])
def test_sersic_morphology_rendered_by_scarlet2_is_galsims(scarlet2, make, hlr, n):
    patch, _, _ = blend([galaxy(35, 35, 9.0)], (71, 71), "render")
    fit = make("scarlet2_sersic").fit(patch, {}, np.array([35.0]), np.array([35.0]))
    width, x, y = 81, 40.3, 39.6
    shear = galsim.Shear(g1=0.1, g2=-0.2) if hlr else galsim.Shear()
    box = fit._fit_box(width)
    parameters = np.array([x, y, np.log(max(hlr, 0.01) / SCALE), shear.eta1, shear.eta2, np.log(n)])
    drawn = box.draw(parameters)
    image = drawn[2, 0]
    for k in range(6 if hlr else 2):
        step = 0.02 * (np.arange(6) == k)
        numeric = (box.draw(parameters + step) - box.draw(parameters - step))[:, 0] / 0.04
        assert np.abs(drawn[:, 1 + k] - numeric).max() < 2e-3 * np.abs(numeric).max()
    profile = galsim.Kolmogorov(fwhm=0.79)
    if hlr:
        profile = galsim.Convolve(galsim.Sersic(n=n, half_light_radius=hlr).shear(shear), profile)
    exact = profile.drawImage(galsim.ImageD(width, width, scale=SCALE), center=galsim.PositionD(x + 1, y + 1)).array
    assert np.abs(image - exact).max() < 0.01 * exact.max()  # the PSF image lacks half a per cent of the light


def test_free_form_is_positive_monotone_and_of_unit_flux(scarlet2):
    from blendimpact.fitting.morphologies import PolarMorphology

    rng = stream(1, "polar")
    for _ in range(5):
        slopes = rng.normal(0, 2, (15, 8)).astype(np.float32)
        image = np.asarray(PolarMorphology(slopes, (33, 33))())
        assert image.min() > 0 and image.sum() == pytest.approx(1, rel=1e-4)
        for angle in np.arange(8) * np.pi / 4:  # along its own directions it never rises
            steps = np.arange(0, 15)
            row, column = (np.round(16 + steps * f(angle)).astype(int) for f in (np.sin, np.cos))
            ray = image[row, column]
            assert (np.diff(ray) <= 1e-6 * image.max()).all()


@pytest.mark.parametrize("eta", [(0.0, 0.0), (0.4, -0.7), (-1.2, 0.3)])
def test_free_form_starts_from_a_sersic_profile(scarlet2, eta):
    from blendimpact.fitting.morphologies import PolarMorphology, seen_shear, start_slopes

    shear = seen_shear(2.5, eta)
    start = np.asarray(PolarMorphology(start_slopes(2.5, 1.0, 16, 8, 24, eta, shear), (49, 49), shear)())
    galaxy = galsim.Exponential(half_light_radius=2.5).shear(galsim.Shear(eta1=eta[0], eta2=eta[1]))
    exact = galsim.Convolve(galaxy, galsim.Gaussian(sigma=0.7)).drawImage(nx=49, ny=49, scale=1.0).array
    assert np.abs(start - exact).max() < 0.04 * exact.max()


def test_the_prior_of_a_free_form_is_what_it_says(scarlet2):
    """Unit normals give changes whose mean over angles and whose twists have the stated spreads."""
    from blendimpact.fitting.template import Settings, template

    basis = (
        template(Settings("free", 3, 1.5, 1.3, radii=16, angles=8, slope_spread=0.5, twist_spread=0.3), 33)
        .prior_basis()
        .astype(float)
    )
    covariance = basis @ basis.T
    assert np.sqrt(covariance.mean()) == pytest.approx(0.5, rel=1e-3)  # variance of the mean
    # Eight twists that sum to 0 have seven degrees of freedom.
    twist = np.eye(8) - np.roll(np.eye(8), 1, axis=1)
    assert np.trace(twist @ covariance @ twist.T) == pytest.approx(7 * 0.3**2, rel=1e-3)


def test_sersic_agrees_with_the_joint_fit(make):
    """Two ways to draw, one model: scarlet2's scene and renderer against ours."""
    difference = []
    for k, sources in enumerate(pairs(6, "agree")):
        patch, table, _ = blend(sources, (71, 71), "agree", k)
        x, y = np.array(table["x"]), np.array(table["y"])
        ours = DEBLENDERS.create("joint_fit").fit(patch, {}, x, y)
        theirs = make("scarlet2_sersic").fit(patch, {}, x, y)
        sigma = np.sqrt(np.diagonal(ours.flux_covariance, axis1=1, axis2=2))
        difference.append((theirs.flux - ours.flux) / sigma)
    assert np.median(np.abs(difference)) < 0.25
    assert np.percentile(np.abs(difference), 90) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scarlet2_sersic", "scarlet2_free"])
def test_children_are_the_isolated_twins_and_more_steps_do_no_harm(make, name):
    blends = pairs(8, "quality")
    usual = aperture_errors(make(name), blends)
    effort = "steps" if name == "scarlet2_free" else "iterations"
    many = aperture_errors(make(name, **{effort: 4 * getattr(make(name).options, effort)}), blends)
    none = aperture_errors(DEBLENDERS.create("none"), blends)
    assert np.median(np.abs(usual)) < 0.03
    assert np.median(np.abs(many)) < 1.3 * np.median(np.abs(usual)) + 0.003
    assert np.mean(np.abs(many)) < 1.3 * np.mean(np.abs(usual)) + 0.003
    assert np.mean(np.abs(usual)) < np.mean(np.abs(none)) / 3


@pytest.mark.parametrize("name", ["scarlet2_sersic", "scarlet2_free"])
def test_objective_never_rises_with_steps(make, name):
    patch, table, _ = blend(pairs(1, "steps")[0], (71, 71), "steps")
    x, y = np.array(table["x"]), np.array(table["y"])
    effort = "steps" if name == "scarlet2_free" else "iterations"
    losses = [make(name, sweeps=1, **{effort: k}).fit(patch, {}, x, y).chi2[0] for k in (1, 10, 80)]
    assert losses[1] < losses[0] and losses[2] <= losses[1] + 1.0


@pytest.mark.parametrize("name", ["scarlet2_sersic", "scarlet2_free"])
def test_every_centre_gets_a_child_whatever_it_is(make, name):
    sources = [galaxy(40, 40, 20.0), galaxy(3, 40, 15.0), galaxy(70, 70, 10.0)]
    patch, _, _ = blend(sources, (121, 121), "odd")
    for image in patch.bands.values():
        image.mask[66:75, 66:75] = 1
        image.science[66:75, 66:75] = np.nan
    xy = [(40, 40), (3, 40), (-30, 5), (np.nan, 3), (40, 40), (40.2, 40.1), (70, 70), (100, 20)]
    children = make(name).deblend(patch, {}, centres(xy), STAMP)
    assert np.isfinite(children.stamps).all()
    names = [{bit for bit, _ in BITS.decode(s)} for s in children.status]
    assert "EDGE" in names[1] and "OUTSIDE" in names[2] and "OUTSIDE" in names[3] and "MASKED" in names[6]
    for image in patch.bands.values():
        image.science[:] = np.nan
    children = make(name).deblend(patch, {}, centres(xy), STAMP)
    assert not children.stamps.any()


def test_same_bytes_again_and_whatever_else_is_in_the_patch(make):
    sources = [galaxy(40, 60, 8.0), galaxy(47, 61, 5.0), galaxy(190, 60, 9.0)]
    patch, table, _ = blend(sources, (121, 241), "far")
    for name in ("scarlet2_sersic", "scarlet2_free"):
        everything, again = (make(name).deblend(patch, {}, table, STAMP) for _ in range(2))
        alone = make(name).deblend(patch, {}, table[:2], STAMP)
        assert everything.stamps.tobytes() == again.stamps.tobytes()
        assert everything.stamps[:2].tobytes() == alone.stamps.tobytes()


def test_one_program_per_bucket_and_nothing_grows(scarlet2, make, cache):
    from blendimpact.fitting.template import free_program, template

    deblender = make("scarlet2_free")
    shapes = []
    for k, sources in enumerate(pairs(6, "grow")):
        patch, table, _ = blend(sources, (71, 71), "grow", k)
        deblender.deblend(patch, {}, table, STAMP)
        shapes.append(
            (len(scarlet2.parameter_registry), free_program.cache_info().currsize, template.cache_info().currsize)
        )
    deblender.deblend(patch, {}, table, STAMP)
    before = len(scarlet2.parameter_registry), free_program.cache_info().currsize, template.cache_info().currsize
    for k, sources in enumerate(pairs(6, "grow")):
        patch, table, _ = blend(sources, (71, 71), "grow", k)
        deblender.deblend(patch, {}, table, STAMP)
    after = len(scarlet2.parameter_registry), free_program.cache_info().currsize, template.cache_info().currsize
    assert before == after == shapes[-1]
    assert after[0] <= after[2] + 1
    assert any(jaxenv.cache_directory(cache, __import__("jax").__version__).iterdir())


DISK = (
    "import hashlib, sys, time; sys.path.insert(0, 'tests/makers')\n"
    "from galaxy_maker import *\n"
    "from blendimpact.deblend import DEBLENDERS\n"
    "patch, table, _ = blend(pairs(1, 'disk')[0], (71, 71), 'disk')\n"
    "deblender = DEBLENDERS.create('scarlet2_sersic')\n"
    "start = time.process_time(); children = deblender.deblend(patch, {}, table, 61)\n"
    "print(hashlib.sha256(children.stamps.tobytes()).hexdigest(), time.process_time() - start)\n"
)


@pytest.mark.slow
def test_processes_share_programs_at_once_later_and_after_one_was_killed(scarlet2, root, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(root / "scripts"), jaxenv.CACHE_VARIABLE: str(tmp_path)}

    def start():
        return subprocess.Popen(
            [sys.executable, "-c", DISK],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=root,
            env=environment,
        )

    def ends(process):
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        digest, seconds = out.split()
        return digest, float(seconds), err

    first, second = [ends(p) for p in (start(), start())]  # both compile, both write
    third = ends(start())
    programs = list(tmp_path.rglob("*-cache"))
    for path in programs:
        path.write_bytes(path.read_bytes()[:-100])  # as if killed just now
    fourth = ends(start())
    assert len(programs) > 0 and len({r[0] for r in (first, second, third, fourth)}) == 1
    assert third[1] < 0.8 * min(first[1], second[1])
    assert "Error reading persistent compilation cache" in fourth[2]
