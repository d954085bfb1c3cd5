"""The exact deblender: light is conserved, neighbours leave only their noise, real images keep theirs."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import sky_maker
import synthetic
from blendimpact.data import catalogues
from blendimpact.data.images import PatchFile, PatchWriter
from blendimpact.data.stamps import cut
from blendimpact.measure.sky import known_sky
from blendimpact.sky.injection import inject
from blendimpact.sky.patches import simulate_patch
from blendimpact.sky.profiles import add_stamp
from blendimpact.sky.true_scene import TruthScene, injects_photons
from blendimpact.stages import inject as inject_stage

SEED, SIZE = 3, 41
SETTINGS = {
    "bands": ["g", "i"],
    "shape_band": "i",
    "shear": 0.05,
    "noise_pairs": True,
    "patch": {"size": 50, "border": 22, "margin": 3.0},
    "population": {"galaxies": {"density": 2.0, "mag_max": 26.0}, "stars": {"density": 1.0}},
}


@pytest.fixture(scope="module")
def twins():
    """Return {twin: TruthScene} of one crowded patch."""
    band = SimpleNamespace(
        psf_model={"kind": "moffat", "fwhm": 0.8, "beta": 3.5}, sky_sigma=2.0, gain=5.0, zero_point=31.4, light="i"
    )
    survey = SimpleNamespace(name="test", pixel_scale=0.2, bands={"g": band, "i": band})
    made = simulate_patch(SETTINGS, 4, SEED, "demo", "fiducial", survey, synthetic.tables())
    return {patch.twin: TruthScene(patch, truth, SEED, "demo") for patch, truth in made}


def targets(scene):
    return [i for i, row in scene.rows.items() if row["role"] == "target"]


def centres(scene, ids):
    return [scene.rows[i]["x"] for i in ids], [scene.rows[i]["y"] for i in ids]


@pytest.mark.parametrize("twin", ["plus", "plusflip", "minus", "minusflip"])
def test_scene_is_the_sum_of_isolated_sources_and_noise(twins, twin):
    scene = twins[twin]
    for band, image in scene.patch.bands.items():
        light, photons = np.zeros(scene.patch.shape), np.zeros(scene.patch.shape)
        for source_id in scene.rows:
            add_stamp(light, scene.stamp(source_id, band))
            add_stamp(photons, scene._photons(source_id, band))
        np.testing.assert_allclose(image.planes["MODEL"], light, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(image.science, light + photons + image.planes["NOISE"], rtol=1e-6, atol=2e-3)


def test_child_of_all_sources_is_the_scene(twins):
    scene = twins["minus"]
    ids = targets(scene)[:3]
    x, y = centres(scene, ids)
    sky = {band: np.full(scene.patch.shape, 0.7, np.float32) for band in scene.patch.bands}
    children = scene.deblended(ids, x, y, [list(scene.rows)] * len(ids), SIZE, sky)
    for b, image in enumerate(scene.patch.bands.values()):
        whole = cut(image.science - np.float32(0.7), children.x0, children.y0, SIZE)
        np.testing.assert_allclose(children.stamps[:, b], whole, rtol=1e-5, atol=5e-3)


def test_a_merged_detection_holds_the_sum_of_its_members(twins):
    """merged(A and B) - merged(nothing) = A + B, without the sky or a photon counted twice."""
    scene = twins["plus"]
    a, b = targets(scene)[:2]
    x, y = ([scene.rows[a][key]] * 4 for key in "xy")
    zero = known_sky(scene.patch)
    children = scene.deblended([1, 2, 3, 4], x, y, [[a, b], [a], [b], []], SIZE, zero)
    both, one, two, none = children.stamps.astype(float)
    np.testing.assert_allclose(both - none, (one - none) + (two - none), atol=5e-3)
    np.testing.assert_allclose(one - none, scene.noiseless([a], SIZE).stamps[0], atol=5e-3)
    noise = scene.patch.bands["i"]
    np.testing.assert_allclose(
        none[1], cut(noise.science - noise.planes["MODEL"], children.x0[:1], children.y0[:1], SIZE)[0], atol=5e-3
    )


def test_faint_light_stays_in_the_exact_child_and_in_no_other(twins):
    """Child with a faint source minus child without it = that source, whoever the child is of."""
    scene = twins["plus"]
    a, b, faint = targets(scene)[:3]
    x, y = centres(scene, [a, b])
    zero = known_sky(scene.patch)
    plain = scene.deblended([a, b], x, y, [[a], [b]], SIZE, zero)
    kept = scene.deblended([a, b], x, y, [[a], [b]], SIZE, zero, faint=[faint])
    for k, image in enumerate(scene.patch.bands):
        light = cut(scene.plane([faint], image), plain.x0, plain.y0, SIZE)
        np.testing.assert_allclose((kept.stamps.astype(float) - plain.stamps)[:, k], light, atol=5e-3)


def test_isolated_has_its_own_photons_only(twins):
    """Oracle minus isolated is the photon noise of all other sources."""
    scene = twins["plus"]
    ids = targets(scene)[:2]
    x, y = centres(scene, ids)
    oracle = scene.deblended(ids, x, y, [[i] for i in ids], SIZE, known_sky(scene.patch))
    alone = scene.isolated(ids, SIZE)
    for k, source_id in enumerate(ids):
        for b, band in enumerate(scene.patch.bands):
            others = np.zeros(scene.patch.shape)
            for other in scene.rows:
                if other != source_id:
                    add_stamp(others, scene._photons(other, band))
            want = cut(others, alone.x0[k : k + 1], alone.y0[k : k + 1], SIZE)[0]
            np.testing.assert_allclose(oracle.stamps[k, b].astype(float) - alone.stamps[k, b], want, atol=1e-2)


@pytest.mark.parametrize("twin", ["plus", "minus"])
def test_flips_average_to_the_noiseless_source(twins, twin):
    one, two = twins[twin], twins[f"{twin}flip"]
    ids = targets(one)
    mean = (one.isolated(ids, SIZE).stamps.astype(float) + two.isolated(ids, SIZE).stamps) / 2
    np.testing.assert_allclose(mean, one.noiseless(ids, SIZE).stamps, atol=5e-3)
    images = (scene.patch.bands["i"] for scene in (one, two))
    first, second = images
    np.testing.assert_allclose((first.science.astype(float) + second.science) / 2, first.planes["MODEL"], atol=5e-3)


def test_twins_share_sources_and_deviates(twins):
    assert {tuple(sorted(scene.rows)) for scene in twins.values()} == {tuple(sorted(twins["plus"].rows))}
    assert {tuple(targets(scene)) for scene in twins.values()} == {tuple(targets(twins["plus"]))}
    np.testing.assert_array_equal(
        twins["plus"].patch.bands["i"].planes["NOISE"], twins["minus"].patch.bands["i"].planes["NOISE"]
    )
    np.testing.assert_array_equal(
        twins["plus"].patch.bands["i"].planes["NOISE"], -twins["plusflip"].patch.bands["i"].planes["NOISE"]
    )


def test_children_are_the_same_after_the_disk(twins, tmp_path):
    scene = twins["minusflip"]
    with PatchWriter(tmp_path / "p.fits") as writer:
        writer.write(scene.patch)
    with PatchFile(tmp_path / "p.fits") as file:
        again = TruthScene(file.read(4, "minusflip"), scene.truth, SEED, "demo")
    ids = targets(scene)
    np.testing.assert_array_equal(scene.isolated(ids, SIZE).stamps, again.isolated(ids, SIZE).stamps)


def test_pixels_that_are_not_on_the_image_are_zero(twins):
    """What `Children` promises, and what every other deblender does: an oracle must not see more sky."""
    scene = twins["plus"]
    ids = [i for i, row in scene.rows.items() if 2 < row["x"] < 9 and 0 < row["y"] < 93]
    children = scene.noiseless(ids, SIZE)
    assert len(ids) and (children.x0 < 0).all() and (children.status != 0).all()
    for k in range(len(ids)):
        assert not children.stamps[k, :, :, : -children.x0[k]].any()


# --- injected on a real image --------------------------------------------------------------------------


def injected(**options):
    patch, truth = sky_maker.real_patch()
    catalogue = sky_maker.sources(patch, [{"x": 84.3, "y": 75.6}, {"x": 64.0, "y": 52.0, "mag": 20.0}])
    settings = {
        "scenario": "fiducial",
        "bands": ["g"],
        "shape_band": "g",
        "match_radius": 1.0,
        "truth_snr": 0,
        "inject": options,
    }
    after, rows = inject(patch, truth, catalogue, 1, "galaxies", settings)
    return patch, TruthScene(after, rows, 1, "galaxies", photons=injects_photons(settings))


def test_oracle_on_a_real_image_is_stamp_and_noise():
    before, scene = injected()
    source_id = targets(scene)[0]
    x, y = centres(scene, [source_id])
    image = scene.patch.bands["g"]
    sky = {"g": np.full(scene.patch.shape, 0.3, np.float32)}
    child = scene.deblended([source_id], x, y, [[source_id]], SIZE, sky)
    want = np.array(image.planes["NOISE"], float) - 0.3
    add_stamp(want, scene.stamp(source_id, "g"))
    add_stamp(want, scene._photons(source_id, "g"))
    np.testing.assert_allclose(child.stamps[0, 0], cut(want, child.x0, child.y0, SIZE)[0], atol=1e-3)
    alone = scene.isolated([source_id], SIZE)
    np.testing.assert_allclose(alone.stamps, child.stamps + np.float32(0.3), atol=1e-3)
    # and the source is what the injection added, to its last photon
    added = np.zeros(scene.patch.shape)
    for i in targets(scene):
        add_stamp(added, scene.stamp(i, "g"))
        add_stamp(added, scene._photons(i, "g"))
    np.testing.assert_allclose(image.science.astype(float) - before.bands["g"].science, added, atol=5e-3)


def test_a_real_member_brings_the_pixels_of_its_own_footprint():
    _, scene = injected()
    source_id, context = targets(scene)[1], sky_maker.CONTEXT_IDS + 1
    x, y = centres(scene, [source_id])
    zero = known_sky(scene.patch)
    alone = scene.deblended([1], x, y, [[source_id]], SIZE, zero).stamps[0, 0].astype(float)
    both = scene.deblended([1], x, y, [[source_id, context]], SIZE, zero)
    image = scene.patch.bands["g"]
    light = np.where(image.planes["SEG"] == context, image.planes["BASE"], 0)
    np.testing.assert_allclose(both.stamps[0, 0] - alone, cut(light, both.x0, both.y0, SIZE)[0], atol=5e-3)


def test_without_photon_noise_the_oracles_have_none_either():
    """``inject.photon_noise: false`` is about the source: it must hold on every rung."""
    _, scene = injected(photon_noise=False)
    ids = targets(scene)
    noise = scene.patch.bands["g"].planes["NOISE"]
    alone, clean = scene.isolated(ids, SIZE), scene.noiseless(ids, SIZE)
    np.testing.assert_allclose(alone.stamps[:, 0] - clean.stamps[:, 0], cut(noise, alone.x0, alone.y0, SIZE), atol=1e-3)


def test_a_chunk_whose_blocks_were_all_left_out(tmp_path):
    """Blocks with too many masked pixels are passed over; the chunk size must not decide whether that works."""
    patch, truth = sky_maker.real_patch("moffat")
    images, table = tmp_path / "image.fits", tmp_path / "image.parquet"
    with PatchWriter(images) as writer:
        writer.write(replace(patch, index=7))
    truth["patch"] = 7
    catalogues.write(truth, table)
    settings = {
        "case": "galaxies",
        "scenario": "fiducial",
        "sky": "adopt",
        "bands": ["g"],
        "shape_band": "g",
        "match_radius": 1.0,
        "truth_snr": 0,
        "patch": {"size": 110, "border": 20},
        "inject": {"population": "sersic", "per_patch": 2, "mag": [20, 22], "separation": 5, "realisations": 1},
    }
    inject_stage.run(settings, [8000, 9000], SEED, images, table, tmp_path / "out.fits", tmp_path / "out.parquet")
    assert len(catalogues.read(tmp_path / "out.parquet")) == 0
