"""Catalogues as users have them: each is read as what it means, or refused with a word; no column is just ignored."""

import galsim
import numpy as np
import pytest
import sky_maker
from astropy import units
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from blendimpact.errors import StudyError
from blendimpact.populations import catalogue_checks
from blendimpact.populations.catalogue import read_catalogue, standardise
from blendimpact.populations.catalogue_checks import check_catalogues
from blendimpact.populations.user_catalogue import UserCatalogue, check_on_image, on_patch, oriented, reaches
from blendimpact.sky.injection import inject
from blendimpact.sky.injection_flags import FLAG

SCALE = sky_maker.SCALE
SETTINGS = {"scenario": "fiducial", "bands": ["g"], "shape_band": "g", "match_radius": 1.0, "truth_snr": 0}
QUIET = {**SETTINGS, "inject": {"photon_noise": False}}
STARS = [
    {"injection_id": 100 + k, "ra": 58.4 + 0.001 * k, "dec": -48.5, "source_type": "Star", "mag": 21 + 0.1 * k}
    for k in range(5)
]


def stars(*more, **changes):
    return Table(rows=[{**row, **changes} for row in STARS] + list(more))


def same(found, expected):
    return all(np.array_equal(found[c], expected[c]) for c in ("injection_id", "ra", "dec", "source_type", "mag_g"))


# ---------------------------------------------------------------------------------------------- files and units


@pytest.fixture
def plain(tmp_path):
    stars().write(tmp_path / "plain.csv")
    return tmp_path / "plain.csv"


@pytest.mark.parametrize("bom, comment, name", [(1, 0, "a.csv"), (0, 1, "b.csv"), (1, 1, "c.csv"), (0, 0, "UPPER.CSV")])
def test_text_files_as_editors_write_them(plain, bom, comment, name):
    text = ("# made by hand\n" if comment else "") + plain.read_text()
    (plain.parent / name).write_text(text, encoding="utf-8-sig" if bom else "utf-8")
    found = read_catalogue(plain.parent / name, ["g"], SCALE)
    assert same(found, read_catalogue(plain, ["g"], SCALE)) and found["injection_id"][0] == 100


def test_other_endings_in_capitals(plain):
    for name, kind in (("T.FITS", "fits"), ("T.ECSV", "ascii.ecsv"), ("T.PARQUET", "parquet")):
        stars().write(plain.parent / name, format=kind)
        assert same(read_catalogue(plain.parent / name, ["g"], SCALE), read_catalogue(plain, ["g"], SCALE))


@pytest.mark.parametrize("ending", ["ecsv", "fits", "parquet"])
@pytest.mark.parametrize("unit", [units.ABmag, units.mag, units.nJy, units.Jy])
def test_units_of_brightness(plain, ending, unit):
    table = stars()
    if unit in (units.nJy, units.Jy):
        flux = (np.asarray(table["mag"]) * units.ABmag).to(unit)
        table["flux"] = flux.value
        table.remove_column("mag")
    table["flux" if "flux" in table.colnames else "mag"].unit = unit
    table.write(plain.parent / f"t.{ending}", overwrite=True)
    found = read_catalogue(plain.parent / f"t.{ending}", ["g"], SCALE)
    assert np.allclose(found["mag_g"], stars()["mag"], atol=1e-9) and not found.meta["notes"]


def test_units_that_are_no_brightness():
    table = stars()
    table["mag"].unit = units.STmag
    with pytest.raises(StudyError, match=r"mag\(ST\)"):
        standardise(table, ["g"], SCALE)
    table = stars()
    table.rename_column("mag", "flux")
    with pytest.raises(StudyError, match="flux has no unit") as caught:
        standardise(table, ["g"], SCALE)
    assert "nJy" in str(caught.value)
    table["flux"].unit = units.nJy
    table["flux"][1] = -5.0
    with pytest.raises(StudyError, match=r"1 rows: 1 \(injection_id 101\)"):
        standardise(table, ["g"], SCALE)


# ---------------------------------------------------------------------------------------- values that are no values


@pytest.mark.parametrize("mag", [-99.0, 99.0, -9999.0, 0.0])
def test_a_row_without_magnitude_is_a_flag_of_it_alone(mag):
    patch, truth = sky_maker.real_patch()
    rows = [{"x": 60.0 + 20 * k, "y": 120.0, "source_type": "Star", "injection_id": k} for k in range(4)]
    lost = {**rows[0], "injection_id": 9, "y": 30.0, "mag": mag}
    plain, _ = inject(patch, truth, sky_maker.sources(patch, rows), 1, "galaxies", SETTINGS)
    catalogue = sky_maker.sources(patch, [*rows, lost])
    out, found = inject(patch, truth, catalogue, 1, "galaxies", SETTINGS)
    assert np.array_equal(out.bands["g"].science, plain.bands["g"].science)
    assert found["injection_flag"][-5:].tolist() == [0, 0, 0, 0, FLAG.BAD_PARAMETERS]
    (note,) = catalogue.meta["notes"]
    assert "BAD_PARAMETERS" in note and "1 rows: 4 (injection_id 9)" in note


def test_no_row_has_a_magnitude():
    with pytest.raises(StudyError, match="no row has a magnitude between 0 and 40"):
        standardise(stars(mag=99.0), ["g"], SCALE)


@pytest.mark.parametrize("changes, words", [({"ra": 420.0}, "ra is outside"), ({"dec": -91.0}, "dec is outside")])
def test_places_that_are_none(changes, words):
    with pytest.raises(StudyError, match=rf"{words}.*5 rows: 0 \(injection_id 100\)"):
        standardise(stars(**changes), ["g"], SCALE)
    assert standardise(stars(ra=-10.0), ["g"], SCALE)["ra"][0] == -10.0


def test_a_catalogue_of_another_field():
    patch, _ = sky_maker.real_patch()
    places = [(patch.reference.wcs, patch.shape)]
    assert check_on_image(standardise(stars(), ["g"], SCALE), places, "mine.csv") == 5
    for ra, dec in ((10.0, 20.0), (238.4, 48.5)):  # the second is on the other side of the sky
        with pytest.raises(StudyError, match="none of the 5 sources .* lies on the image") as caught:
            check_on_image(standardise(stars(ra=ra, dec=dec), ["g"], SCALE), places, "mine.csv")
        assert "mine.csv" in str(caught.value) and "58.4" in str(caught.value)


# ------------------------------------------------------------------------------------------------------ columns


def test_no_column_is_ignored_in_silence():
    found = standardise(stars(visit=3, colour=0.4, draw_size=30), ["g"], SCALE, "mine.csv")
    notes = " ".join(found.meta["notes"])
    assert all(word in notes for word in ("mine.csv", "visit", "draw_size", "not used: colour"))
    assert standardise(stars(), ["g"], SCALE).meta["notes"] == []


@pytest.mark.parametrize("column, value", [("trunc", 3.0), ("shear", "g1=0.1"), ("band", "r"), ("flux_untruncated", 1)])
def test_columns_that_would_change_the_light_are_refused(column, value):
    with pytest.raises(StudyError, match=f"column {column} cannot be used"):
        standardise(stars(**{column: value}), ["g"], SCALE)
    assert standardise(stars(**{column: np.nan}), ["g"], SCALE).meta["notes"]
    assert len(standardise(stars(band="g"), ["g"], SCALE)) == 5


def galaxies(**columns):
    return stars(source_type="Sersic", n=1.0, half_light_radius=1.2, **columns)


@pytest.mark.parametrize(
    "shear",
    [
        {"g1": 0.4, "g2": 0.0},
        {"g1": -0.2, "g2": 0.3},
        {"e1": 0.3, "e2": -0.4},
        {"eta1": 0.5, "eta2": 0.5},
        {"g": 0.3, "beta": 20.0},
        {"e": 0.5, "beta": 140.0},
        {"eta": 0.5, "beta": 60.0},
        {"q": 0.4, "beta": 75.0},
        {"g": 0.3},
    ],
)
def test_shapes_are_those_of_galsim(shear):
    found = standardise(galaxies(**shear), ["g"], SCALE)
    keywords = dict(shear)
    if "g1" not in shear and "e1" not in shear and "eta1" not in shear:
        keywords["beta"] = keywords.get("beta", 0.0) * galsim.degrees
    expected = galsim.Shear(**keywords)
    drawn = galsim.Shear(q=found["q"][0], beta=found["beta"][0] * galsim.degrees)
    assert (drawn.g1, drawn.g2) == pytest.approx((expected.g1, expected.g2), abs=1e-9)
    assert not found.meta["notes"]


@pytest.mark.parametrize("shear", [{"g1": 0.8, "g2": 0.8}, {"g1": 0.1, "e2": 0.1}, {"g": 1.2}, {"q": 0.5, "g1": 0.1}])
def test_shapes_that_are_none(shear):
    with pytest.raises(StudyError, match=r"are no shape in 1 rows: 0 \(injection_id 100\)"):
        standardise(galaxies(**shear), ["g"], SCALE)


@pytest.mark.parametrize(
    "kind, size, profile",
    [
        ("Exponential", {"scale_radius": 0.5}, galsim.Exponential(scale_radius=0.5)),
        ("Sersic", {"scale_radius": 0.02, "n": 3.0}, galsim.Sersic(n=3, scale_radius=0.02)),
        ("Gaussian", {"sigma": 0.5}, galsim.Gaussian(sigma=0.5)),
        ("Gaussian", {"fwhm": 0.9}, galsim.Gaussian(fwhm=0.9)),
    ],
)
def test_sizes_are_those_of_galsim(kind, size, profile):
    found = standardise(stars(source_type=kind, **size), ["g"], SCALE)
    assert np.allclose(found["half_light_radius"], profile.half_light_radius, rtol=1e-6)
    with pytest.raises(StudyError, match="beside another size in 5 rows"):
        standardise(stars(source_type=kind, half_light_radius=1.0, **size), ["g"], SCALE)


def test_sheared_galaxies_are_drawn_so():
    patch, truth = sky_maker.real_patch(parity=-1)
    row = {"x": 84, "y": 75, "q": np.nan, "beta": np.nan, "g1": 0.4, "g2": 0.0}
    _, rows = inject(patch, truth, sky_maker.sources(patch, [row]), 1, "galaxies", QUIET)
    assert (rows["g1_disk"][-1], rows["g2_disk"][-1]) == pytest.approx((0.4, 0.0), abs=1e-3)


# ------------------------------------------------------------------------------------------------------- stamps


def stamp_file(folder, turn=0.0, parity=-1, scale=0.2):
    """A bar along y with a brighter upper end, so that parity is seen too."""
    yy, xx = np.indices((41, 51)) - np.array([20, 25])[:, None, None]
    bar = np.exp(-0.5 * ((xx / 1.5) ** 2 + (yy / 6.0) ** 2)) * (1 + 0.04 * yy) * (1 + 0.1 * xx)
    path = folder / f"stamp{turn:g}{parity}.fits"
    header = sky_maker.tan_header(bar.shape, scale=scale, parity=parity, turn=turn)
    fits.writeto(path, np.maximum(bar, 0), header, overwrite=True)
    return str(path)


def drawn_stamp(path, alignment, parity=-1):
    patch, truth = sky_maker.real_patch(parity=parity)
    catalogue = sky_maker.sources(patch, [{"x": 84.0, "y": 75.0, "source_type": "Stamp", "stamp": path, "mag": 19.0}])
    catalogue = oriented(catalogue, patch.reference, alignment)
    out, rows = inject(patch, truth, catalogue, 1, "galaxies", QUIET, UserCatalogue.columns)
    assert rows["injection_flag"][-1] == 0
    return out.bands["g"].planes["MODEL"][50:101, 59:110].astype(float)


def test_stamps_lie_as_their_wcs_says(tmp_path):
    """A stamp of the same sky is drawn the same, whatever way round its pixels are."""
    flipped = tmp_path / "flipped.fits"
    with fits.open(stamp_file(tmp_path)) as hdus:
        data, header = hdus[0].data, hdus[0].header
    header = WCS(header).to_header()
    header["PC1_1"] = -header.get("PC1_1", 1.0)
    header["CRPIX1"] = data.shape[1] + 1 - header["CRPIX1"]
    fits.writeto(flipped, data[:, ::-1], header)
    turned = tmp_path / "turned.fits"
    with fits.open(stamp_file(tmp_path)) as hdus:
        wcs = WCS(hdus[0].header)
    cd = wcs.pixel_scale_matrix
    new = WCS(naxis=2)
    new.wcs.ctype, new.wcs.crval = ("RA---TAN", "DEC--TAN"), wcs.wcs.crval
    # np.rot90 turns by 90 deg from x to y of the array's own axes: new (x, y) = (y, -x) of the old, about the middle
    new.wcs.crpix = (wcs.wcs.crpix[1], data.shape[1] + 1 - wcs.wcs.crpix[0])
    new.wcs.cd = cd @ np.array([[0.0, -1.0], [1.0, 0.0]])
    fits.writeto(turned, np.transpose(data)[::-1, :], new.to_header())
    upright = drawn_stamp(stamp_file(tmp_path), "wcs")
    for path in (flipped, turned):
        assert np.allclose(drawn_stamp(str(path), "wcs"), upright, atol=2e-3 * upright.max())
        assert not np.allclose(
            drawn_stamp(str(path), "pixel"), drawn_stamp(stamp_file(tmp_path), "pixel"), atol=0.05 * upright.max()
        )


def test_stamps_follow_the_image_or_its_pixels(tmp_path):
    path = stamp_file(tmp_path)
    upright, mirrored = drawn_stamp(path, "wcs"), drawn_stamp(path, "wcs", parity=1)
    assert np.allclose(mirrored, upright[:, ::-1], atol=2e-2 * upright.max())
    assert np.allclose(drawn_stamp(path, "pixel", 1), drawn_stamp(path, "pixel", -1), atol=1e-6)
    yy = np.arange(51) - 25

    def height(light):
        profile = light.sum(axis=1) / light.sum()
        return np.sqrt((profile * yy**2).sum() - (profile * yy).sum() ** 2)

    grown = (height(drawn_stamp(path, "pixel")) ** 2 - height(upright) ** 2) / (5.9**2)
    assert grown == pytest.approx(1 - (0.2 / SCALE) ** 2, abs=0.05)  # pixels of 0.2 arcsec drawn as 0.263


# ------------------------------------------------------------------------------------------------- light from outside


def given(patch, **row):
    row = {"source_type": "Star", "mag": 15.0, **row}
    ra, dec = patch.reference.wcs.all_pix2world(row.pop("x"), row.pop("y"), 0)
    return standardise(Table(rows=[{"ra": float(ra), "dec": float(dec), **row}]), ["g"], SCALE)


def light_on(patch, truth, catalogue):
    near = on_patch(catalogue, patch, reaches(catalogue, "g", SCALE))
    out, rows = inject(patch, truth, near, 1, "galaxies", QUIET)
    return out.bands["g"].planes["MODEL"].astype(float), rows[len(truth) :]


def test_a_long_trail_from_outside():
    patch, truth = sky_maker.real_patch()
    light, rows = light_on(
        patch, truth, given(patch, x=-250.0, y=70.0, source_type="Trail", trail_length=600.0, beta=0.0)
    )
    assert rows["role"].tolist() == ["scene"] and rows["injection_flag"][0] & FLAG.PARTLY_OFF
    per_pixel = 10 ** (0.4 * (30 - 15.0))  # mag is that of one pixel of it
    assert light[:, :40].sum() == pytest.approx(40 * per_pixel, rel=0.02) and light[:, 70:].sum() < 0.02 * light.sum()


@pytest.mark.slow
@pytest.mark.parametrize("x, y", [(85.0, 75.0), (-130.0, 75.0)])
def test_a_large_galaxy_is_drawn_as_galsim_draws_it(x, y):
    patch, truth = sky_maker.real_patch("moffat")
    light, rows = light_on(
        patch, truth, given(patch, x=x, y=y, source_type="DeVaucouleurs", half_light_radius=20.0, mag=14.0)
    )
    profile = galsim.DeVaucouleurs(half_light_radius=20.0, flux=10 ** (0.4 * 16))
    ny, nx = patch.shape
    offset = x - (nx - 1) / 2, y - (ny - 1) / 2
    expected = profile.drawImage(nx=nx, ny=ny, scale=SCALE, offset=offset, method="no_pixel", dtype=float).array
    yy, xx = np.indices(patch.shape)
    outer = np.hypot(xx - x, yy - y) > 30  # pixels: seeing changes little there
    assert light[outer].sum() == pytest.approx(expected[outer].sum(), rel=0.01)
    assert np.allclose(light[outer], expected[outer], rtol=0.02)
    assert rows["injection_flag"].tolist() == [FLAG.PARTLY_OFF]


def test_saturated_cores_have_no_data():
    """Of the bright star itself, and of a galaxy beside its core."""
    patch, truth = sky_maker.real_patch()
    bright = {"x": 84.0, "y": 75.0, "source_type": "Star", "mag": 14.0}
    rows = [bright, {**bright, "x": 85.2, "mag": 23.0}, {**bright, "x": 120.0, "mag": 21.0}]
    out, found = inject(patch, truth, sky_maker.sources(patch, rows), 1, "galaxies", QUIET)
    before, after = patch.bands["g"], out.bands["g"]
    new = (after.mask & ~before.mask) == 1
    assert new[75, 84] and not new[75, 110:].any() and after.mask.dtype == before.mask.dtype
    assert np.array_equal(new, (after.science >= sky_maker.SATURATION) & (after.planes["MODEL"] > 300) & ~before.mask)
    flags = found["injection_flag"][-3:].tolist()
    assert flags[0] == FLAG.TOO_BRIGHT and flags[1] == FLAG.MASKED_CENTRE and flags[2] == 0
    assert found["role"][-3:].tolist() == ["scene", "scene", "target"]


def test_what_is_larger_than_can_be_drawn_is_flagged():
    patch, truth = sky_maker.real_patch()
    catalogue = given(patch, x=85.0, y=75.0, source_type="DeVaucouleurs", half_light_radius=500.0, mag=12.0)
    light, rows = light_on(patch, truth, catalogue)
    assert not light.any() and rows["injection_flag"].tolist() == [FLAG.BAD_PARAMETERS]


def test_only_what_can_reach_a_patch_is_tried():
    patch, _ = sky_maker.real_patch()
    for row, tried in (
        ({"x": -120.0, "mag": 22.0}, 0),
        ({"x": -120.0, "mag": 12.0}, 1),
        ({"x": -250.0, "mag": 12.0}, 0),
        ({"x": -120.0, "mag": 24.0, "source_type": "Exponential", "half_light_radius": 0.4}, 0),
        ({"x": -300.0, "mag": 14.0, "source_type": "DeVaucouleurs", "half_light_radius": 15.0}, 1),
    ):
        catalogue = given(patch, y=70.0, **row)
        assert len(on_patch(catalogue, patch, reaches(catalogue, "g", SCALE))) == tried, row


# ------------------------------------------------------------------------------------------------------ before any job


def chosen(path, **changes):
    inject = {"catalogue": str(path), "population": None, "beta": "source_injection", "trail_mag": "pixel"}
    return {"inject": inject, "bands": ["g"], "pixel_scale": SCALE, "sky": "simulate", **changes}


def test_a_catalogue_is_read_when_the_study_is_planned(plain):
    assert check_catalogues([{"inject": None}, chosen(plain), chosen(plain)]) == []
    stars(visit=7).write(plain, overwrite=True)
    (note,) = check_catalogues([chosen(plain), chosen(plain)])
    assert "visit" in note and str(plain) in note


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"source_type": "Quasar"}, "unknown source_type Quasar"),
        ({"mag": "bright"}, "mag does not hold numbers"),
        ({"source_type": "Sersic", "half_light_radius": 1.0}, "column n is empty"),
        ({"source_type": "Stamp", "stamp": "none.fits"}, "none.fits is not there"),
        ({"ra": 420.0}, "ra is outside"),
    ],
)
def test_what_a_job_would_refuse_is_refused_before(plain, changes, words):
    stars(**changes).write(plain, overwrite=True)
    with pytest.raises(StudyError, match=words) as caught:
        check_catalogues([chosen(plain)])
    assert "plain.csv" in str(caught.value)


def test_how_many_lie_on_a_users_image_is_known_before(plain, monkeypatch):
    image = sky_maker.write(plain.parent / "sky.fits", np.zeros((100, 120)))
    monkeypatch.setattr(catalogue_checks, "load_image", lambda name: sky_maker.spec_of(image))
    (note,) = check_catalogues([chosen(plain, sky="adopt", image="sky")])
    assert "5 of 5 sources lie on the image sky" in note
    trail = stars(ra=58.4 + 0.01, source_type="Trail", trail_length=200.0, mag=20.0)
    trail.write(plain, overwrite=True)  # 91 pixels off the middle of 120: its light comes from outside
    assert "0 of 5 sources" in check_catalogues([chosen(plain, sky="adopt", image="sky")])[0]
    stars(ra=10.0, dec=20.0).write(plain, overwrite=True)
    with pytest.raises(StudyError, match="none of the 5 sources"):
        check_catalogues([chosen(plain, sky="adopt", image="sky")])


def test_a_large_catalogue_is_left_to_its_jobs(plain, monkeypatch):
    monkeypatch.setattr(catalogue_checks, "MOST_BYTES", 10)
    assert "only its jobs" in check_catalogues([chosen(plain)])[0]


def test_how_far_stamps_reach(tmp_path):
    """By their own pixel scale, or by that of the image; one that is not there is tried as a point is."""
    patch, _ = sky_maker.real_patch()
    catalogue = given(patch, x=0.0, y=0.0, source_type="Stamp", stamp=stamp_file(tmp_path, scale=2.0))
    half = 0.5 * np.hypot(41, 51)
    assert reaches(catalogue, "g", SCALE, "wcs")[0] - 192 == pytest.approx(half * 2.0 / SCALE, rel=1e-3)
    assert reaches(catalogue, "g", SCALE, "pixel")[0] - 192 == pytest.approx(half)
    gone = given(patch, x=0.0, y=0.0, source_type="Stamp", stamp="gone.fits", mag=20.0)
    assert reaches(gone, "g", SCALE)[0] == 100
