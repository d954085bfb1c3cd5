"""Drawn transients: where they lie, how bright they are, what the truth says of them."""

import numpy as np
import pytest
from blendimpact.config.files import CONFIG_DIR, load_yaml, merge
from blendimpact.config.study import case_settings, validate
from blendimpact.config.surveys import load_survey
from blendimpact.data.coma import coma_share
from blendimpact.errors import StudyError
from blendimpact.populations import POPULATIONS
from blendimpact.populations.asteroid import FASTEST, GAUSS, MAIN_BELT, NEAR_EARTH, Orbits, seen
from blendimpact.populations.comet import AFRHO, AFRHO_RADIUS, BESIDE, SUN, afrho
from blendimpact.populations.static_sky import StaticSky, host_offset
from blendimpact.populations.supernova import NUCLEAR, PEAK, magnitudes_at
from blendimpact.populations.transients import noise_limits
from blendimpact.sky.epochs import add_template, template_survey, without_transients
from blendimpact.sky.injection import inject
from blendimpact.sky.patches import simulate_patch
from blendimpact.sky.profiles import draw_source
from synthetic import tables
from target_maker import draw

FAMILIES = {"populations": POPULATIONS}
SETTINGS = {
    "case": "case",
    "scenario": "fiducial",
    "bands": ["g", "r"],
    "shape_band": "r",
    "shear": 0.0,
    "truth_snr": 5,
    "match_radius": 1.0,
    "patch": {"size": 200, "border": 30, "margin": 6.0},
    "population": {"galaxies": {"mag_max": 26.0}, "stars": {}, "positions": {}},
    "inject": {
        "population": "transients",
        "per_patch": 6,
        "separation": 8,
        "snr": [3, 60],
        "kinds": {"supernova": 3, "nuclear": 1, "hostless": 1, "trail": 2, "comet": 2},
    },
}


@pytest.fixture(scope="module")
def sky(galaxies, stars):
    survey = load_survey("lsst_y10_ideal")
    return [simulate_patch(SETTINGS, k, 5, "case", "fiducial", survey, tables(galaxies, stars))[0] for k in range(3)]


def drawn(sky, supernovae, **inject_changes):
    settings = {**SETTINGS, "inject": {**SETTINGS["inject"], **inject_changes}}
    return [draw(settings, patch, truth, 5, "case", patch.index, 0, supernova=supernovae) for patch, truth in sky]


def test_magnitudes_of_a_flat_spectrum(supernovae):
    """F_nu flat: AB colours are 0 at any redshift; brightness by the distance modulus and (1 + z); decline by phase."""
    from astropy.cosmology import Planck18

    for z in (0.05, 0.5):
        mags = magnitudes_at(supernovae, z, 0.0, "gri")
        expected = PEAK + Planck18.distmod(z).value - 2.5 * np.log10(1 + z)
        assert all(m == pytest.approx(expected, abs=5e-3) for m in mags.values())
        assert magnitudes_at(supernovae, z, 20.0, "r")["r"] - mags["r"] == pytest.approx(1.0, abs=1e-3)
    between = magnitudes_at(supernovae, 0.43, 0.0, "r")["r"]
    assert between == pytest.approx(PEAK + Planck18.distmod(0.43).value - 2.5 * np.log10(1.43), abs=0.02)


@pytest.mark.parametrize("n, fraction", [(1.0, 0.0), (4.0, 1.0)])
def test_places_follow_the_hosts_light(n, fraction):
    """Half within the elliptical half-light radius, and second moments of the host's shape."""
    host = {"bulge_fraction_r": fraction}
    for part in ("bulge", "disk"):
        host |= {f"n_{part}": n, f"hlr_{part}": 0.7, f"g1_{part}": 0.3, f"g2_{part}": 0.0}
    rng, number = np.random.default_rng(3), 4000
    x, y = np.array([host_offset(host, "r", rng) for _ in range(number)]).T
    stretch = np.sqrt(1.3 / 0.7)
    inside = np.hypot(x / stretch, y * stretch) < 0.7
    assert inside.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(number))
    assert np.median(np.abs(x)) / np.median(np.abs(y)) == pytest.approx(1.3 / 0.7, rel=0.1)


def test_each_kind_lies_where_it_says(sky, supernovae):
    for kind in ("supernova", "nuclear", "hostless", "trail", "comet"):
        for (patch, truth), rows in zip(sky, drawn(sky, supernovae, kinds={kind: 1})):
            assert len(rows) and patch.inside(rows["x"], rows["y"]).all()
            places = np.stack([rows["x"], rows["y"]], axis=1)
            apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)) * 0.2
            assert apart[~np.eye(len(rows), dtype=bool)].min() >= 8 if len(rows) > 1 else True
            index = {int(s): k for k, s in enumerate(truth["source_id"])}
            for row in rows:
                if row["host_id"] >= 0:
                    host = truth[index[int(row["host_id"])]]
                    far = 0.2 * np.hypot(row["x"] - host["x"], row["y"] - host["y"])
                    assert row["host_distance"] == pytest.approx(far, abs=1e-9)
                    assert host["kind"] == "galaxy" and row["redshift"] == host["redshift"]
                    assert kind != "nuclear" or far <= NUCLEAR
                light = patch.bands["r"].planes["MODEL"][int(row["y"] + 0.5), int(row["x"] + 0.5)]
                if light > 0:
                    assert row["host_sb"] == pytest.approx(31.4 - 2.5 * np.log10(light / 0.04), abs=1e-4)
            hosted = {"supernova", "nuclear"} & {kind}
            assert hosted or (rows["host_id"] == -1).all()


def test_distance_of_a_trail_is_that_of_its_line(sky, supernovae):
    for (_, truth), rows in zip(sky, drawn(sky, supernovae, kinds={"near_earth": 1}, exposure=60)):
        seen = np.asarray(truth["snr"]) >= 5
        for row in rows:
            assert row["trail_length"] == pytest.approx(2.5 * row["rate"])  # 60 s: 2.5 arcsec per deg/day
            steps = np.linspace(-0.5, 0.5, 4001) * row["trail_length"] / 0.2
            x = row["x"] + steps * np.cos(np.radians(row["beta"]))
            y = row["y"] + steps * np.sin(np.radians(row["beta"]))
            away = np.hypot(x[:, None] - np.asarray(truth["x"])[seen], y[:, None] - np.asarray(truth["y"])[seen])
            assert row["static_distance"] == pytest.approx(0.2 * away.min(), abs=0.01)


def test_injected_sn_is_the_asked_for_and_truth_is_exact(sky, supernovae):
    deep = template_survey(load_survey("lsst_y10_ideal"), {"template": {"visits": 1}})
    kinds = set()
    for (patch, truth), rows in zip(sky, drawn(sky, supernovae)):
        patch, truth, _ = add_template(patch, truth, deep, {}, 5, "case")
        out, table = inject(patch, truth, rows, 5, "case", SETTINGS)
        without_transients(table)
        assert out.templates is patch.templates or all(
            np.array_equal(out.templates[b].science, patch.templates[b].science) for b in "gr"
        )
        mine = table[table["injection_id"] >= 0]
        assert len(mine) == len(rows) and (mine["injection_flag"] & ~2 == 0).all()
        assert (mine["template_flux_r"] == 0).all() and not mine["variable"].any()
        points = mine[mine["kind"] == "star"]
        assert ((points["snr_r"] > 2.95) & (points["snr_r"] < 61)).all()
        assert (np.asarray(table["transient"])[table["injection_id"] < 0] == "").all()
        sigma = load_survey("lsst_y10_ideal").bands["r"].sky_sigma
        for row, known in zip(mine, rows):
            stamp = draw_source(dict(zip(mine.colnames, row)), out.bands["r"])
            assert row["snr_r"] == pytest.approx(np.sqrt((stamp.array**2).sum()) / sigma, rel=0.02)
            assert row["transient"] == known["transient"]
            assert row["host_sb"] == pytest.approx(known["host_sb"], nan_ok=True)
        kinds |= set(mine["transient"])
        again = draw(SETTINGS, patch, truth, 5, "case", patch.index, 0, supernova=supernovae)
        for name in again.colnames:
            assert np.array_equal(again[name], rows[name], equal_nan=again[name].dtype.kind == "f"), name
        assert all(table[name].info.description for name in table.colnames)
    assert len(kinds) >= 4


def test_rates_are_those_of_circles_seen_at_opposition():
    """An object on a circle of radius a, opposite to the Sun, moves by (1 - a^-1/2) / (a - 1) of the Earth's rate."""
    for a in (1.5, 2.7):
        rate, fainter, weight = seen(Orbits((a, a), (a, a), 1e-6, 0.3), np.random.default_rng(1), 4000)
        brightest = np.argmin(np.where(weight > 0, fainter, np.inf))
        assert rate[brightest] == pytest.approx(np.degrees(GAUSS) * (1 - a**-0.5) / (a - 1), rel=0.02)
        assert fainter[brightest] == pytest.approx(5 * np.log10(a * (a - 1)), abs=0.15)  # but for the phase
    for orbits, low, high in ((MAIN_BELT, 0.1, 0.3), (NEAR_EARTH, 0.5, 2.0)):
        rate, _, weight = seen(orbits, np.random.default_rng(2), 100_000)
        order = np.argsort(rate)
        median = rate[order][np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)]
        assert low < median < high and (rate[weight > 0] < FASTEST).all()


def test_asteroids_are_drawn_by_their_counts(sky, supernovae):
    """N(< m) as 10^(slope m): the S/N standing still is a power law; H, rate and length belong together."""
    snr = []
    for realisation in range(60):
        settings = {**SETTINGS, "inject": {**SETTINGS["inject"], "kinds": {"trail": 1}}}
        rows = draw(settings, *sky[0], 5, "case", 0, realisation, supernova=supernovae)
        limit = noise_limits(sky[0][0].bands["r"], StaticSky(*sky[0], "r", SETTINGS).sigma)["point"]
        snr += list(10 ** (0.4 * (limit - rows["mag_r"])))
        assert (rows["h_mag"] < rows["mag_r"] + 1).all() and (rows["rate"] > 0).all()
    power = 2.5 * MAIN_BELT.slope
    below = (3**-power - np.sort(snr) ** -power) / (3**-power - 60**-power)
    assert np.abs(below - (np.arange(len(snr)) + 0.5) / len(snr)).max() < 1.63 / np.sqrt(len(snr))  # 99 %


def test_comets_have_the_light_of_their_dust(sky, supernovae):
    """Afrho of the coma within 3 arcsec, and the S/N in that circle that was asked for."""
    number, near = 0, []
    for k, (patch, truth) in enumerate(sky):
        limit = noise_limits(patch.bands["r"], StaticSky(patch, truth, "r", SETTINGS).sigma)["patch"]
        for kind in ("comet", "comet_beside"):
            settings = {**SETTINGS, "inject": {**SETTINGS["inject"], "kinds": {kind: 1}}}
            rows = draw(settings, patch, truth, 5, "case", k, 0, supernova=supernovae)
            for row in rows:
                coma = 1 - row["nucleus_fraction"] - row["tail_fraction"]
                inner = coma_share(AFRHO_RADIUS, row["coma_radius"], row["coma_slope"])
                mag = row["mag_r"] - 2.5 * np.log10(coma * inner)
                assert row["afrho"] == pytest.approx(afrho(mag, AFRHO_RADIUS, row["delta"], row["r_h"], SUN["r"]))
                assert AFRHO[0] <= row["afrho"] <= AFRHO[1] and 0 < row["nucleus_fraction"] < 1
                snr = 10 ** (0.4 * (limit - mag)) / np.sqrt(np.pi * AFRHO_RADIUS**2)
                assert 2.99 < snr < 60.01
            number, near = number + len(rows), near + list(rows["static_distance"] if kind == "comet_beside" else [])
    assert number > 20 and max(near) < BESIDE * patch.bands["r"].psf_model["fwhm"] + 1e-9


def test_trails_and_comets_on_a_real_image():
    import sky_maker

    patch, truth = sky_maker.real_patch()
    settings = {
        **SETTINGS,
        "bands": ["g"],
        "shape_band": "g",
        "inject": {
            "population": "transients",
            "per_patch": 3,
            "separation": 6,
            "snr": [20, 50],
            "kinds": {"trail": 1, "comet": 1},
        },
    }
    rows = draw(settings, patch, truth, 5, "galaxies", 7, 3)
    out, table = inject(patch, truth, rows, 5, "galaxies", settings)
    mine = table[table["injection_id"] >= 0]
    assert len(mine) == 3 and set(mine["kind"]) <= {"trail", "comet"}
    assert (out.bands["g"].planes["MODEL"].sum()) > 0
    with pytest.raises(StudyError, match="supernovae"):
        draw(
            {**settings, "inject": {**settings["inject"], "kinds": {"supernova": 1}}}, patch, truth, 5, "galaxies", 7, 3
        )


def study(**case):
    base = load_yaml(CONFIG_DIR / "config.yaml").data
    block = {
        "scenarios": dict.fromkeys(
            ("shear", "shear_peaks", "ring", "sky", "sky_clustered", "photo_z", "photo_z_training")
        ),
        "shear": 0,
        "noise_pairs": False,
        "survey": "lsst_visit",
        "epochs": {},
        "inject": SETTINGS["inject"],
        **case,
    }
    return merge(base, {"cases": {"galaxies": {"enabled": False}, "two_point": block}})


def test_settings_are_complete_and_mistakes_are_named():
    good = case_settings(validate(study(), families=FAMILIES), "two_point")
    assert good["epochs"]["template"] == {"survey": "lsst_y10_forecast"} and good["epochs"]["registration"] == 0.02
    assert good["epochs"]["visits"] == {"source": "sorcha"}
    for change, word in (
        ({"shear": 0.02}, "static sources"),
        ({"epochs": {"template": {"survey": "des"}}}, "arcsec"),
        ({"epochs": {"template": {"survey": "lsst_y1", "visits": 4}}}, "needs one of"),
        ({"inject": {**SETTINGS["inject"], "kinds": {"trail": 0}}}, "no kind"),
        ({"inject": {**SETTINGS["inject"], "snr": [9, 3]}}, "smaller number first"),
        ({"inject": {**SETTINGS["inject"], "per_patch": 30}}, "do not fit"),
        ({"inject": {**SETTINGS["inject"], "population": "hst_cosmos"}}, "no option .kinds"),
    ):
        with pytest.raises(StudyError, match=word):
            validate(study(**change), families=FAMILIES)


def test_a_trail_beside_a_source_passes_it_nearby(sky, supernovae):
    """At a distance even up to it, anywhere along the line; where nothing can be seen there is none."""
    number, across, along = 0, [], []
    for k, (patch, truth) in enumerate(sky):
        fwhm = patch.bands["r"].psf_model["fwhm"]
        for realisation in range(20):
            settings = {**SETTINGS, "inject": {**SETTINGS["inject"], "kinds": {"beside": 1}}}
            rows = draw(settings, patch, truth, 5, "case", k, realisation, supernova=supernovae)
            assert set(rows["source_type"]) == {"Trail"} and patch.inside(rows["x"], rows["y"]).all()
            assert (rows["static_distance"] <= BESIDE * fwhm + 1e-9).all() and (rows["trail_length"] > 0).all()
            seen = {int(s["source_id"]): s for s in truth if s["snr"] >= 5}
            for row in rows:
                dx, dy = (seen[row["static_id"]][c] - row[c] for c in "xy")
                t = np.radians(row["beta"])
                along.append((dx * np.cos(t) + dy * np.sin(t)) * 0.2 / row["trail_length"])
                across.append(abs(row["static_distance"]) / fwhm)
            number += len(rows)
        blank = truth.copy()
        blank["snr"] = 1.0
        assert not len(draw(settings, patch, blank, 5, "case", k, 0, supernova=supernovae))
    assert number > 150
    assert np.mean(across) == pytest.approx(0.45 * BESIDE, abs=0.2)  # a nearer source can be there
    assert abs(np.mean(along)) < 0.15 and np.abs(along).max() > 0.4
