"""Stars of an isochrone: mass function, luminosity function, surface densities, nested fields, injected stars."""

import os
import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.config.surveys import load_survey
from blendimpact.data.chunk import PatchData
from blendimpact.errors import StudyError
from blendimpact.ladder.image import ImageLadder
from blendimpact.populations.isochrone import EXTINCTION, RED_CLUMP, STARS_MAX, Stars, build_isochrone, kroupa
from blendimpact.sky.injection import inject
from blendimpact.sky.patches import simulate_patch
from blendimpact.sky.scene import draw_scene
from scipy.integrate import quad
from scipy.stats import kstest
from target_maker import draw

ROOT = Path(__file__).resolve().parents[2]
FILE = "artpop/feh_m1.00_vvcrit0.4_LSST_10gyr_test_iso.pkl"
FIELD = {
    "kind": "isochrone",
    "surface_density": 3e5,
    "limit": 24.0,
    "mag_min": 16.0,
    "mag_max": 26.0,
    "distance_modulus": 14.5,
    "reddening": 0.5,
}
SETTINGS = {
    "case": "crowded",
    "scenario": "fiducial",
    "sky": "simulate",
    "bands": ["g", "i"],
    "shape_band": "i",
    "shear": 0,
    "patch": {"size": 90, "border": 25, "margin": 3.0},
    "population": {"galaxies": {"density": 0}, "stars": FIELD},
    "truth_snr": 5,
    "match_radius": 0.5,
    "stamp": 6.0,
    "inject": {"population": "stars", "per_patch": 6, "mag": [17, 25], "separation": 3.0},
}
GALAXIES = Table({"mag_i": [20.0], "redshift": [0.5], "hlr_bulge": [0.1], "hlr_disk": [0.2]})
for _part in ("bulge", "disk"):
    GALAXIES[f"q_{_part}"], GALAXIES[f"n_{_part}"] = 1.0, 1.0
for _b in "ugi":
    GALAXIES[f"mag_{_b}"], GALAXIES[f"bulge_fraction_{_b}"] = 20.0, 0.0


def made(path, **changes):
    """Write an isochrone like artpop's: a main sequence, a giant branch that turns back to a clump, a white dwarf."""
    mass = np.concatenate([np.linspace(0.1, 0.85, 60), [0.86, 0.87, 0.871, 0.872, 0.873, 0.874]])
    i = np.concatenate([np.linspace(11.5, 3.5, 60), [2.0, -3.0, 0.2, 0.0, -0.5, 10.0]])
    phase = np.array([0] * 60 + [2, 2, 3, 3, 4, 6])
    colour = 3.0 - 2.0 * np.clip((mass - 0.1) / 0.75, 0, 1)
    columns = {"initial_mass": mass, "phase": phase.astype(float)}
    for k, band in enumerate("ugrizy"):
        columns[f"LSST_{band}"] = i + (3 - k) * 0.3 * colour
    path.write_bytes(pickle.dumps({**columns, **changes}))
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return build_isochrone(made(tmp_path_factory.mktemp("isochrone") / "iso.pkl"))


@pytest.fixture(scope="module")
def mist():
    """The fetched isochrone."""
    path = Path(os.environ.get("BLENDIMPACT_INPUTS", ROOT / "results" / "inputs")) / FILE
    if not path.is_file():
        pytest.skip(f"no fetched isochrone at {path}: run the fetch rule, or set BLENDIMPACT_INPUTS")
    return build_isochrone(path)


def scene(table, half=60.0, index=0, seed=1, bands=("g", "i"), **changes):
    options = {"galaxies": {"density": 0}, "stars": {**FIELD, **changes}}
    return draw_scene(options, half, seed, "crowded", index, {"isochrone": table}, list(bands), "i")


# --- the table ------------------------------------------------------------------------------------------


def test_the_mass_function_is_kroupas_integral():
    def slope(m):
        return m**-1.3 if m < 0.5 else 0.5 * m**-2.3

    for low, high in ((0.1, 0.4), (0.3, 0.8), (0.6, 0.87)):
        number = quad(slope, low, high, points=[0.5])[0]
        assert kroupa(high) - kroupa(low) == pytest.approx(number, rel=1e-9)


def test_a_rank_is_the_fraction_born_lighter(table):
    rank, mass = np.asarray(table["rank"]), np.asarray(table["initial_mass"])
    assert rank[0] == 0 and rank[-1] == 1 and (np.diff(rank) > 0).all()
    middle = kroupa(mass[0]) + 0.5 * (kroupa(mass[-1]) - kroupa(mass[0]))
    assert np.interp(middle, kroupa(mass), rank) == pytest.approx(0.5)
    assert table["initial_mass"].unit == "solMass" and all(table[c].info.description for c in table.colnames)


def test_distance_and_reddening_shift_magnitudes(table):
    near, far = Stars(table, {"distance_modulus": 0.0, "reddening": 0.0}), Stars(table, FIELD)
    for band in "ugrizy":
        shift = far.mag[band] - near.mag[band]
        assert np.allclose(shift, 14.5 + 0.5 * EXTINCTION[band])


def test_the_fraction_brighter_is_that_of_drawn_stars(table):
    stars = Stars(table, FIELD)
    rank = (np.arange(200_000) + 0.5) / 200_000
    mag = stars.at_rank(rank, "i")[0]["i"]
    for limit in (14.0, 16.0, 20.0, 23.3, 25.0, 30.0):
        assert stars.fraction_brighter(limit, "i") == pytest.approx((mag < limit).mean(), abs=2e-5)


def test_a_star_of_a_magnitude_has_that_magnitude_and_a_colour_of_the_isochrone(table):
    stars = Stars(table, FIELD)
    mag = np.linspace(15.0, 25.0, 300)
    found, stage = stars.at_magnitude(mag, "i", np.arange(300) * 0.618034 % 1, "gi")
    assert np.allclose(found["i"], mag)
    line = stars.at_rank(np.linspace(0, 1, 1_000_001), "gi")[0]
    for k in range(0, 300, 10):
        near = np.abs(line["i"] - mag[k]) < 0.02
        assert np.abs((line["g"] - line["i"])[near] - (found["g"] - found["i"])[k]).min() < 0.02
    assert {"main sequence", "red giant branch", RED_CLUMP} <= set(stage)


def test_stars_of_a_magnitude_are_of_each_stage_as_often_as_the_isochrone_has_them(table):
    stars = Stars(table, {**FIELD, "distance_modulus": 0.0, "reddening": 0.0})
    draw = (np.arange(20_000) + 0.5) / 20_000
    _, stage = stars.at_magnitude(np.full(20_000, 0.1), "i", draw, "i")
    near = stars.at_rank((np.arange(4_000_000) + 0.5) / 4_000_000, "i")
    within = np.abs(near[0]["i"] - 0.1) < 0.05
    for name in ("red giant branch", RED_CLUMP):
        expected = (near[1][within] == name).mean()
        assert 0.01 < expected < 0.99 and (stage == name).mean() == pytest.approx(expected, abs=0.01)


def test_beyond_the_ends_a_star_keeps_the_colour_of_the_end(table):
    stars = Stars(table, FIELD)
    found, _ = stars.at_magnitude(np.array([5.0, 40.0]), "i", np.full(2, 0.5), "gi")
    assert np.allclose(found["i"], [5.0, 40.0])
    assert found["g"][1] - 40.0 == pytest.approx(stars.mag["g"][0] - stars.mag["i"][0], abs=1e-6)


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize(
    "content", [b"no pickle", pickle.dumps({"a": 1}), pickle.dumps(Harmful()), pickle.dumps([1, 2])]
)
def test_another_file_is_refused_and_runs_nothing(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iso.pkl").write_bytes(content)
    with pytest.raises(StudyError, match="not artpop's isochrone"):
        build_isochrone(tmp_path / "iso.pkl")
    assert not (tmp_path / "harm").exists()


def test_masses_out_of_order_are_refused(tmp_path):
    with pytest.raises(StudyError, match="order of mass"):
        build_isochrone(made(tmp_path / "iso.pkl", initial_mass=np.linspace(0.9, 0.1, 66)))


# --- fields of stars --------------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [1e5, 2e6])
def test_surface_density_and_luminosity_function_are_those_asked_for(table, density):
    half, fields = 90.0, 6
    stars = Stars(table, FIELD)
    area = fields * (2 * half / 3600) ** 2
    drawn = [scene(table, half, index, surface_density=density) for index in range(fields)]
    mag = np.concatenate([np.asarray(s["mag_i"]) for s in drawn])
    assert mag.min() >= 16 and mag.max() < 26
    total = density / stars.fraction_brighter(24.0, "i")
    for low, high in ((16, 24), (16, 20), (20, 22), (22, 23), (23, 24), (24, 25), (25, 26)):
        share = stars.fraction_brighter(high, "i") - stars.fraction_brighter(low, "i")
        number = ((mag >= low) & (mag < high)).sum()
        assert abs(number - total * share * area) < 4 * np.sqrt(total * share * area) + 1, (low, high)
    x = np.concatenate([np.asarray(s["dx"]) for s in drawn])
    assert kstest((x + half) / (2 * half), "uniform").pvalue > 1e-3


def test_a_sparser_field_is_part_of_a_denser_one(table):
    fields = [scene(table, surface_density=d) for d in (1e4, 1e5, 3e5, 1e6)]
    stars = [dict(zip(t["source_id"].tolist(), zip(t["dx"], t["dy"], t["mag_g"], t["mag_i"]))) for t in fields]
    for a, b in pairwise(stars):
        assert 0 < len(a) < len(b) and set(a) < set(b)
        assert all(b[k] == v for k, v in a.items())
    deeper = scene(table, mag_max=27.0)
    assert set(fields[2]["source_id"]) < set(deeper["source_id"])


def test_bands_and_repetition_change_nothing(table):
    one, again, more = scene(table), scene(table), scene(table, bands=("u", "g", "i"))
    for name in one.colnames:
        for other in (again, more):
            assert all(a == b or (a != a and b != b) for a, b in zip(one[name], other[name])), name


def test_no_density_no_star_and_too_much_is_refused(table):
    assert len(scene(table, surface_density=0.0)) == 0
    with pytest.raises(StudyError, match="ask for at most"):
        scene(table, surface_density=STARS_MAX)
    with pytest.raises(StudyError, match="no star of the isochrone"):
        scene(table, limit=5.0)


# --- artificial stars --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def injected(table):
    survey = load_survey("lsst_visit")
    patch, truth = simulate_patch(SETTINGS, 0, 1, "crowded", "fiducial", survey, {"isochrone": table})[0]
    drawn = draw(SETTINGS, patch, None, 1, "crowded", 0, 0, isochrone=table)
    return (patch, truth), inject(patch, truth, drawn, 1, "crowded", SETTINGS)


def test_only_injected_stars_are_targets_and_field_stars_keep_their_truth(injected):
    (_, before), (_, truth) = injected
    targets = truth[truth["role"] == "target"]
    assert len(targets) == 6 and set(targets["kind"]) == {"star"} and (targets["injection_id"] >= 0).all()
    field = truth[truth["injection_id"] < 0]
    assert len(field) == len(before) > 30 and set(field["role"]) == {"scene"}
    assert np.array_equal(field["flux_i"], before["flux_i"])
    assert set(field["evolution"]) <= {"main sequence", "red giant branch", RED_CLUMP, "post-AGB"}
    assert all(str(e) for e in targets["evolution"])
    bright = np.asarray(field["snr"]) >= 5
    assert np.isfinite(field["purity_i"][bright]).all() and np.isnan(field["purity_i"][~bright]).all()


def test_injection_adds_the_flux_of_the_stars(injected):
    (patch, _), (after, truth) = injected
    targets = truth[truth["role"] == "target"]
    for band in ("g", "i"):
        light = after.bands[band].planes["MODEL"].astype(float) - patch.bands[band].planes["MODEL"]
        # the border and a stamp of 24 pixels hold all but the far wings
        assert light.sum() == pytest.approx(np.sum(targets[f"flux_{band}"]), rel=0.01)
        assert np.array_equal(after.bands[band].planes["NOISE"], patch.bands[band].planes["NOISE"])


def test_targets_keep_their_distance_and_their_range(table, injected):
    _, (patch, truth) = injected
    targets = truth[truth["role"] == "target"]
    x, y = np.asarray(targets["x"]), np.asarray(targets["y"])
    apart = np.hypot(x[:, None] - x, y[:, None] - y) + 1e9 * np.eye(len(x))
    assert apart.min() * patch.bands["i"].pixel_scale >= 3.0
    assert ((targets["mag_i"] >= 17) & (targets["mag_i"] <= 25)).all()


def test_the_red_clump_is_injected_at_its_own_magnitudes(table, injected):
    settings = {**SETTINGS, "inject": {**SETTINGS["inject"], "red_clump": 1.0}}
    drawn = draw(settings, injected[0][0], None, 1, "crowded", 0, 0, isochrone=table)
    clump = Stars(table, FIELD)
    faint, bright = clump.at_rank(clump.stage(RED_CLUMP), "i")[0]["i"]
    assert faint - bright == pytest.approx(0.7) and set(drawn["evolution"]) == {RED_CLUMP}
    assert (drawn["mag_i"] >= bright).all() and (drawn["mag_i"] <= faint).all()
    assert len(set(np.asarray(drawn["mag_g"]))) == 6


def test_stars_without_an_isochrone_have_one_magnitude(injected):
    drawn = draw(SETTINGS, injected[0][0], None, 1, "crowded", 0, 0)
    assert set(drawn["source_type"]) == {"Star"} and np.array_equal(drawn["mag_g"], drawn["mag_i"])
    assert "evolution" not in drawn.colnames


def test_an_empty_field_takes_stars_and_finds_them(table):
    """Null test: without neighbours every bright artificial star is found, alone and in the scene."""
    settings = {**SETTINGS, "population": {"galaxies": {"density": 0}, "stars": {**FIELD, "surface_density": 0.0}}}
    settings["inject"] = {**SETTINGS["inject"], "mag": [17, 20]}
    patch, truth = simulate_patch(settings, 0, 1, "crowded", "x", load_survey("lsst_visit"), {"isochrone": table})[0]
    assert len(truth) == 0
    drawn = draw(settings, patch, None, 1, "crowded", 0, 0, isochrone=table)
    patch, truth = inject(patch, truth, drawn, 1, "crowded", settings)
    sky = {band: np.zeros(patch.shape, np.float32) for band in patch.bands}
    ladder = ImageLadder({**settings, "detector": "sep"}, 1)
    found = ladder.detect(PatchData(patch, truth, sky=sky)).assignments
    assert len(found) == 6 and set(found["outcome"]) == {"isolated"} and (found["found_alone"] == 1).all()


# --- the fetched isochrone ----------------------------------------------------------------------------------


def test_the_fetched_isochrone_is_an_old_population(mist):
    stars = Stars(mist, {"distance_modulus": 0.0, "reddening": 0.0})
    bands, stage = stars.at_rank(np.linspace(0, 1, 100_001), "ugi")
    first, last = stars.stage(RED_CLUMP)
    clump = stars.at_rank(np.linspace(first, last, 101), "ui")[0]
    # an old, metal-poor clump: absolute I (Vega) of about -0.3, i (AB) 0.4 to 0.5 fainter
    assert -0.1 < np.median(clump["i"]) < 0.4 and 1.6 < np.median(clump["u"] - clump["i"]) < 2.2
    sequence = stage == "main sequence"
    turn_off = bands["i"][sequence][np.argmin((bands["g"] - bands["i"])[sequence])]
    assert 3.4 < turn_off < 4.6  # 10 Gyr
    assert 0.0003 < last - first < 0.001
