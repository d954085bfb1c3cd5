"""Injection catalogues: LSST's columns and conventions, refusals, and drawn targets."""

import galsim
import numpy as np
import pytest
import sky_maker
from astropy import units
from astropy.table import MaskedColumn, Table
from astropy.wcs import WCS
from blendimpact.data.frames import jacobian
from blendimpact.data.images import BandImage, Patch
from blendimpact.errors import StudyError
from blendimpact.populations.base import Population
from blendimpact.populations.catalogue import read_catalogue, standardise
from blendimpact.populations.source_types import SOURCE_TYPES, completed
from blendimpact.populations.targets import draw_magnitudes, lattice
from blendimpact.populations.user_catalogue import on_patch
from blendimpact.sky.blends import sky_shape_to_pixels
from blendimpact.stats.streams import stream
from target_maker import draw

SCALE = sky_maker.SCALE


def catalogue(**changes):
    table = Table(
        {
            "injection_id": [3, 7, 11, 12],
            "ra": [58.40, 58.41, 58.42, 58.43],
            "dec": [-48.5, -48.51, -48.49, -48.5],
            "source_type": ["Sersic", "DeltaFunction", "Stamp", "Trail"],
            "mag": [21.0, 22.0, 23.0, 24.0],
            "n": [1.0, np.nan, np.nan, np.nan],
            "half_light_radius": [0.6, np.nan, np.nan, np.nan],
            "q": [0.5, np.nan, np.nan, np.nan],
            "beta": [30.0, np.nan, np.nan, 40.0],
            "stamp": ["", "", "galaxy.fits", ""],
            "trail_length": [np.nan, np.nan, np.nan, 20.0],
        }
    )
    for key, value in changes.items():
        if value is None:
            table.remove_column(key)
        else:
            table[key] = value
    return table


def patch(shape=(200, 240), parity=1, turn=0.0, border=20):
    wcs = WCS(sky_maker.tan_header(shape, parity=parity, turn=turn))
    zero = np.zeros(shape, np.float32)
    psf = np.zeros((21, 21))
    psf[10, 10] = 1
    image = BandImage("g", zero, zero + 1, zero.astype(np.uint8), psf, wcs, 30.0, 50.0)
    return Patch(0, "zero", 0.0, {"g": image}, border)


@pytest.mark.parametrize(
    "name, kind", [("c.csv", "ascii.csv"), ("c.ecsv", "ascii.ecsv"), ("c.fits", "fits"), ("c.parquet", "parquet")]
)
def test_formats(tmp_path, name, kind):
    catalogue().write(tmp_path / name, format=kind)
    found = read_catalogue(tmp_path / name, ["g"], SCALE)
    assert found["injection_id"].tolist() == [3, 7, 11, 12]
    assert found["source_type"].tolist() == ["Sersic", "DeltaFunction", "Stamp", "Trail"]
    assert np.allclose(found["ra"], [58.40, 58.41, 58.42, 58.43])
    assert found["half_light_radius"][0] == 0.6 and np.isnan(found["half_light_radius"][1])
    assert found["stamp"][2] == str(tmp_path / "galaxy.fits") and found["stamp"][0] == ""
    assert found["trail_length"][3] == pytest.approx(20 * SCALE)
    assert all(found[c].info.description for c in found.colnames)


def test_trail_magnitudes():
    """source_injection gives a trail the flux of its magnitude for each pixel of its length."""
    found = standardise(catalogue(), ["g"], SCALE)
    assert found["mag_g"].tolist()[:3] == [21, 22, 23]
    assert found["mag_g"][3] == pytest.approx(24 - 2.5 * np.log10(20))
    assert standardise(catalogue(), ["g"], SCALE, trail_mag="total")["mag_g"][3] == 24
    with pytest.raises(StudyError, match="trail"):
        standardise(catalogue(), ["g"], SCALE, trail_mag="half")


def test_units_are_converted():
    table = catalogue()
    table["ra"] = table["ra"].astype(float) / 180 * np.pi
    table["ra"].unit = units.rad
    table["half_light_radius"] = table["half_light_radius"] / 60
    table["half_light_radius"].unit = units.arcmin
    table["beta"] = np.radians(table["beta"])
    table["beta"].unit = units.rad
    table["trail_length"] = np.full(4, 0.1)
    table["trail_length"].unit = units.arcmin
    found = standardise(table, ["g"], SCALE)
    assert found["ra"][0] == pytest.approx(58.40) and found["half_light_radius"][0] == pytest.approx(0.6)
    assert found["beta"][0] == pytest.approx(30) and found["trail_length"][3] == pytest.approx(6.0)
    table["half_light_radius"].unit = units.s
    with pytest.raises(StudyError, match="half_light_radius"):
        standardise(table, ["g"], SCALE)


def test_magnitudes_by_band():
    table = catalogue(mag_r=[20.0, 20, 20, 20])
    found = standardise(table, ["g", "r"], SCALE, trail_mag="total")
    assert found["mag_g"].tolist() == [21, 22, 23, 24] and found["mag_r"].tolist() == [20] * 4
    with pytest.raises(StudyError, match="band g"):
        standardise(catalogue(mag=None, mag_r=[20.0, 20, 20, 20]), ["g"], SCALE)


def test_what_may_be_left_out():
    found = standardise(catalogue(injection_id=None, q=None, beta=None), ["g"], SCALE)
    assert found["injection_id"].tolist() == [0, 1, 2, 3]
    assert found["q"][0] == 1 and found["beta"][0] == 0 and found["beta"][3] == 0
    table = Table(
        {
            "ra": [1.0] * 4,
            "dec": [1.0] * 4,
            "mag": [20.0] * 4,
            "half_light_radius": [0.5] * 4,
            "source_type": ["Exponential", "DeVaucouleurs", "Gaussian", "Star"],
        }
    )
    found = standardise(table, ["g"], SCALE)
    assert found["n"].tolist()[:3] == [1.0, 4.0, 0.5] and np.isnan(found["n"][3])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"ra": None}, "columns missing: ra"),
        ({"source_type": None}, "columns missing: source_type"),
        ({"mag": None}, "no magnitudes"),
        ({"n": None}, "column n .* row"),
        ({"n": [np.nan] * 4}, r"column n .* 1 rows: 0 \(injection_id 3\)"),
        ({"half_light_radius": [np.nan] * 4}, "half_light_radius"),
        ({"mag": [21.0, np.nan, 23, np.nan]}, r"2 rows: 1 \(injection_id 7\), 3 \(injection_id 12\)"),
        ({"dec": [np.nan, 1, 1, 1]}, "dec"),
        ({"stamp": ["", "", "", ""]}, r"stamp .* 2 \(injection_id 11\)"),
        ({"trail_length": None}, "trail_length"),
        ({"source_type": ["Sersic", "Quasar", "Stamp", "Trail"]}, r"Quasar in 1 rows: 1 \(injection_id 7\)"),
        ({"injection_id": [3, 7, 3, 12]}, r"same injection_id in 2 rows: 0 .* 2 "),
        ({"injection_id": [3, -7, 4, 12]}, "whole number"),
        ({"injection_id": [3.5, 7, 4, 12]}, "whole number"),
        ({"injection_id": ["a", "b", "c", "d"]}, "whole number"),
        ({"mag": ["a", "b", "c", "d"]}, "does not hold numbers"),
    ],
)
def test_unusable_catalogues_are_refused(changes, message):
    with pytest.raises(StudyError, match=message) as caught:
        standardise(catalogue(**changes), ["g"], SCALE, "mine.csv")
    assert "mine.csv" in str(caught.value)


def test_masked_values_are_missing_values():
    table = catalogue()
    table["mag"] = MaskedColumn([21.0, 22, 23, 24], mask=[False, True, False, False])
    with pytest.raises(StudyError, match="1 rows: 1 "):
        standardise(table, ["g"], SCALE)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(StudyError, match="format"):
        read_catalogue(tmp_path / "c.txt", ["g"], SCALE)
    with pytest.raises(StudyError, match="not there"):
        read_catalogue(tmp_path / "c.csv", ["g"], SCALE)
    catalogue()[:0].write(tmp_path / "c.csv", format="ascii.csv")
    with pytest.raises(StudyError, match="empty"):
        read_catalogue(tmp_path / "c.csv", ["g"], SCALE)
    (tmp_path / "c.parquet").write_bytes(b"no")
    with pytest.raises(StudyError, match="cannot be read"):
        read_catalogue(tmp_path / "c.parquet", ["g"], SCALE)


# ------------------------------------------------------------------- shapes on the sky


@pytest.mark.parametrize("parity", [1, -1])
@pytest.mark.parametrize("turn", [0.0, 35.0, 160.0])
def test_jacobian(parity, turn):
    image = patch(parity=parity, turn=turn).bands["g"]
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    expected = SCALE * np.array([[parity, 0], [0, 1]]) @ np.array([[c, -s], [s, c]])
    assert np.allclose(jacobian(image.wcs, 100, 90), expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("parity", [1, -1])
@pytest.mark.parametrize("turn", [0.0, 35.0])
@pytest.mark.parametrize("q, beta", [(0.5, 0.0), (0.4, 30.0), (0.7, 120.0)])
def test_shape_is_what_source_injection_draws(parity, turn, q, beta):
    """Against GalSim as LSST's package uses it: shear in (east, north), drawn through the local WCS."""
    matrix = jacobian(patch(parity=parity, turn=turn).bands["g"].wcs, 120, 100)
    profile = galsim.Gaussian(half_light_radius=1.2).shear(q=q, beta=beta * galsim.degrees)
    drawn = profile.drawImage(nx=81, ny=81, wcs=galsim.JacobianWCS(*matrix.ravel()), method="no_pixel").array
    yy, xx = np.indices(drawn.shape) - 40
    weight = drawn / drawn.sum()
    moments = [(weight * a).sum() for a in (xx * xx, yy * yy, xx * yy)]
    size = moments[0] + moments[1] + 2 * np.sqrt(moments[0] * moments[1] - moments[2] ** 2)
    g1, g2 = sky_shape_to_pixels(q, beta, matrix)
    assert (g1, g2) == pytest.approx(((moments[0] - moments[1]) / size, 2 * moments[2] / size), abs=2e-3)
    assert np.hypot(g1, g2) == pytest.approx((1 - q) / (1 + q), abs=2e-4)
    # the area, and so the circularised radius, is that of GalSim's half_light_radius
    sigma = (moments[0] * moments[1] - moments[2] ** 2) ** 0.25 * SCALE
    assert sigma == pytest.approx(1.2 / 1.1774100225, rel=1e-3)


@pytest.mark.parametrize("parity", [1, -1])
def test_position_angle(parity):
    """90 deg is east-west, 0 is north-south, 45 is from north towards east, whatever the image's parity."""
    table = catalogue(beta=[45.0, np.nan, np.nan, 40.0])
    found = standardise(table, ["g"], SCALE, beta="position_angle")
    assert found["beta"].tolist()[0] == 45 and found["beta"][3] == 40  # a trail's is in the image
    north = standardise(catalogue(beta=[0.0, 0, 0, 0]), ["g"], SCALE, beta="position_angle")["beta"][0]
    assert north == 90
    image = patch(parity=parity).bands["g"]
    g1, g2 = sky_shape_to_pixels(0.5, 90.0, jacobian(image.wcs, 120, 100))
    assert g1 == pytest.approx(-1 / 3, abs=1e-3) and g2 == pytest.approx(0, abs=1e-3)
    g1, g2 = sky_shape_to_pixels(0.5, 45.0, jacobian(image.wcs, 120, 100))  # north-east
    assert g2 == pytest.approx(parity / 3, abs=1e-3)
    with pytest.raises(StudyError, match="beta"):
        standardise(table, ["g"], SCALE, beta="west")


@pytest.mark.parametrize("parity", [1, -1])
def test_rows_on_a_patch(parity):
    here = patch(parity=parity)
    wcs = here.bands["g"].wcs
    x, y = np.array([0.0, 239, 120, -90, -110, 120, 345]), np.array([0.0, 199, 100, 50, 50, 310, 100])
    ra, dec = wcs.all_pix2world(x, y, 0)
    table = Table(
        {
            "ra": np.append(ra, [ra[2] + 180, ra[2], 400]),
            "dec": np.append(dec, [-dec[2], -dec[2], 0.0]),
            "k": np.arange(10),
        }
    )
    assert on_patch(table, here)["k"].tolist() == [0, 1, 2, 3]
    assert len(on_patch(table[4:], here)) == 0


# ---------------------------------------------------------------------------- drawn targets

SETTINGS = {
    "bands": ["g"],
    "shape_band": "g",
    "inject": {"population": "hst_cosmos", "per_patch": 9, "mag": [20, 25.5], "separation": 5.0},
}


def population(n=300):
    rng = np.random.default_rng(1)
    return Table(
        {
            "mag_g": rng.uniform(19, 27, n),
            "mag_r": rng.uniform(19, 27, n),
            "redshift": rng.uniform(0, 2, n),
            "bulge_fraction_g": rng.uniform(0, 1, n),
            "hlr_bulge": rng.uniform(0.1, 0.3, n),
            "hlr_disk": rng.uniform(0.3, 0.9, n),
            "q_bulge": rng.uniform(0.5, 1, n),
            "q_disk": rng.uniform(0.2, 1, n),
            "n_bulge": np.full(n, 4.0),
            "n_disk": np.full(n, 1.0),
        }
    )


@pytest.mark.parametrize("name, galaxies", [("sersic", None), ("hst_cosmos", population())])
def test_targets_are_inside_apart_and_repeatable(name, galaxies):
    here, chosen = patch(border=20), {**SETTINGS, "inject": {**SETTINGS["inject"], "population": name}}
    first = draw(chosen, here, None, 5, "galaxies", 3, 0, hst_cosmos=galaxies)
    assert len(first) == 9 and here.inside(first["x"], first["y"]).all()
    ra, dec = here.bands["g"].wcs.all_pix2world(first["x"], first["y"], 0)
    assert np.allclose(ra, first["ra"]) and np.allclose(dec, first["dec"])
    assert ((first["mag_g"] >= 20) & (first["mag_g"] <= 25.5)).all()
    again = draw(chosen, here, None, 5, "galaxies", 3, 0, hst_cosmos=galaxies)
    assert all(np.array_equal(first[c], again[c]) for c in first.colnames)
    for other in ((5, "galaxies", 3, 1), (5, "galaxies", 4, 0), (6, "galaxies", 3, 0), (5, "x", 3, 0)):
        assert not np.array_equal(first["x"], draw(chosen, here, None, *other, hst_cosmos=galaxies)["x"])
    assert set(first["source_type"]) <= set(SOURCE_TYPES)
    for k in range(20):
        one = draw(chosen, here, None, 5, "galaxies", k, 0, hst_cosmos=galaxies)
        apart = np.hypot(one["x"][:, None] - one["x"], one["y"][:, None] - one["y"]) + 1e6 * np.eye(9)
        assert apart.min() * SCALE >= 5.0


def test_structure_comes_from_the_population():
    sample = population()
    found = draw(SETTINGS, patch(), None, 5, "galaxies", 1, 0, hst_cosmos=sample)
    for row in found:
        scaled = row["hlr_disk"] / row["hlr_bulge"]
        same = np.isclose(sample["hlr_disk"] / sample["hlr_bulge"], scaled, rtol=1e-9)
        assert same.sum() == 1
        origin = sample[same][0]
        assert abs(origin["mag_g"] - row["mag_g"]) < 1.2 and row["redshift"] == origin["redshift"]
        g = np.hypot(row["g1_disk"], row["g2_disk"])
        assert g == pytest.approx((1 - origin["q_disk"]) / (1 + origin["q_disk"]))
        factor = 10 ** (-0.135 * (row["mag_g"] - origin["mag_g"]))
        assert row["hlr_disk"] == pytest.approx(origin["hlr_disk"] * factor)
        assert row["g1_bulge"] * row["g2_disk"] == pytest.approx(row["g2_bulge"] * row["g1_disk"])  # aligned
    with pytest.raises(StudyError, match="mag_i"):
        draw({**SETTINGS, "bands": ["g", "i"]}, patch(), None, 5, "galaxies", 1, 0, hst_cosmos=sample)


def test_counts_of_magnitudes():
    uniform = stream(1, "m").uniform(size=20000)
    flat = draw_magnitudes(uniform, 20, 25)
    assert flat.min() >= 20 and flat.max() <= 25 and np.mean(flat < 22.5) == pytest.approx(0.5, abs=0.015)
    counts = draw_magnitudes(uniform, 20, 25, 0.3)
    expected = (10 ** (0.3 * 24) - 10 ** (0.3 * 20)) / (10 ** (0.3 * 25) - 10 ** (0.3 * 20))
    assert np.mean(counts < 24) == pytest.approx(expected, abs=0.015) and counts.min() >= 20


def test_lattice_says_how_many_fit():
    rng = stream(1, "l")
    assert lattice(7, 100, 20, rng).shape == (7, 2)
    with pytest.raises(StudyError, match="25 targets 30 pixels") as caught:
        lattice(25, 100, 30, rng)
    assert "per_patch: 9" in str(caught.value)
    assert len(lattice(9, 100, 30, rng)) == 9


def test_what_a_population_leaves_out_is_as_in_a_catalogue():
    drawn = Table({"source_type": ["Exponential", "DeVaucouleurs", "Star"], "half_light_radius": [0.5, 0.5, np.nan]})
    made = completed(drawn, "the population 'mine'")
    assert made["n"][:2].tolist() == [1.0, 4.0] and made["q"][:2].tolist() == [1.0, 1.0]
    assert made["beta"][:2].tolist() == [0.0, 0.0] and np.isnan(made["q"][2])
    wrong = Table({"source_type": ["DeVaucouleurs"], "half_light_radius": [0.5], "n": [1.0]})
    assert completed(wrong, "mine")["n"][0] == 4.0  # its type says the index
    with pytest.raises(StudyError, match="'mine' drew Sersic sources without n"):
        completed(Table({"source_type": ["Sersic"], "half_light_radius": [0.5]}), "the population 'mine'")
    with pytest.raises(StudyError, match="unknown source_type 'Disk'"):
        completed(Table({"source_type": ["Disk"]}), "mine")


def test_a_population_without_its_methods_is_named():
    class Bare(Population):
        name = "bare"

    for call in (lambda: Bare.build({}), lambda: Bare().draw({}, None, None, 1, "c", 0, 0, {})):
        with pytest.raises(StudyError, match="'bare'.*no method `(build|draw)`") as error:
            call()
        assert error.value.remedy
