"""Galaxies with HST structure: what is read, how it is joined; drawn distributions against those of the HST sample."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from blendimpact.errors import StudyError
from blendimpact.populations import galaxy_counts, hst_cosmos
from blendimpact.sky.half_light import half_light_radius
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parents[2]
INPUTS = Path(os.environ.get("BLENDIMPACT_INPUTS", ROOT / "results" / "inputs"))


def cosmos(path, count=6000):
    """Write a catalogue like HST's: sizes on the relation, round at z < 1, one in three with a bulge and a disk."""
    rng = np.random.default_rng(5)
    mag, z = 25.2 + np.log10(rng.uniform(1e-3, 1, count)) / 0.31, rng.uniform(0.05, 2.5, count)
    r50 = 10 ** (-0.696 - 0.135 * (mag - 24) + 0.2 * rng.standard_normal(count))
    n, q = 10 ** rng.uniform(-0.8, 0.9, count), np.where(z < 1, 0.9, rng.uniform(0.3, 0.5, count))
    sersic, hlr, flux = np.zeros((count, 8)), np.zeros((count, 3)), np.ones((count, 4))
    sersic[:, 1], sersic[:, 2], sersic[:, 3] = r50 / 0.03 / np.sqrt(q), n, q
    two = np.arange(count) % 3 == 0
    hlr[:, 0], hlr[:, 1], hlr[:, 2] = r50, np.where(two, 0.4 * r50, 0), np.where(two, 1.3 * r50, 0)
    flux[:, 1], flux[:, 2] = np.where(two, 0.3, 0), np.where(two, 0.7, 0)
    columns = {
        "IDENT": np.arange(count) + 10**6,
        "mag_auto": mag,
        "flux_radius": r50 / 0.03,
        "zphot": z,
        "sersicfit": sersic,
        "use_bulgefit": two.astype(int),
        "viable_sersic": np.ones(count, int),
        "hlr": hlr,
        "flux": flux,
    }
    for k, (name, value) in enumerate({"viable_sersic": 0, "flux_radius": 1e-3, "zphot": 0.0}.items()):
        columns[name][k] = value  # each is reason enough to leave a galaxy out
    Table(columns).write(path)
    return columns


def others(folder):
    """Write a small pzflow pickle (colours of any kind at any redshift) and galaxies whose bulges are redder."""
    rng = np.random.default_rng(6)
    i = 28.0 + np.log10(rng.uniform(size=12000)) / 0.31
    frame = pd.DataFrame({"redshift": rng.uniform(0.1, 2.2, len(i)), "i": i})
    colour = rng.uniform(0, 2, len(i))
    for k, band in enumerate("ugrzy"):
        frame[band] = i + (3, 2, 1, 0, 0)[k] / 2 * colour
    frame.columns = frame.columns.astype(object)  # as pandas kept names when that file was made
    frame.to_pickle(folder / "galaxy-data.pkl")
    n = 200
    slope = np.linspace(0.2, 2.0, 30)[None]  # per frequency bin, from blue to red
    columns = {
        "galaxy_id": np.arange(n),
        "redshift": (z := rng.uniform(0.1, 2.2, n)),
        "redshift_hubble": z,
        **{f"size_{m}{part}_true": np.full(n, 0.3) for part in ("bulge", "disk") for m in ("", "minor_")},
        "sersic_bulge": np.full(n, 4.0),
        "sersic_disk": np.full(n, 1.0),
        "sed_val_bulge": list(np.repeat(slope, n, 0)),
        "sed_val_disk": list(np.ones((n, 30))),
        "sed_val_knots": list(np.zeros((n, 30))),
    }
    pq.write_table(pa.table(columns), folder / "galaxy_1.parquet")
    return folder / "galaxy-data.pkl", [folder / "galaxy_1.parquet"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The joint sample of made inputs, and the HST galaxies that it is made of."""
    folder = tmp_path_factory.mktemp("hst")
    cosmos(folder / "src_cosmos.fits")
    pickle, templates = others(folder)
    galaxies = hst_cosmos.build_galaxies(pickle, folder / "src_cosmos.fits", templates)
    return galaxies, hst_cosmos.structures(folder / "src_cosmos.fits")


def test_structures_are_circular_radii_and_rounded_indices(tmp_path):
    given, found = cosmos(tmp_path / "src.fits"), hst_cosmos.structures(tmp_path / "src.fits")
    assert list(found["id"]) == list(given["IDENT"][3:])  # the first three are of no use
    sersic = given["sersicfit"][3:]
    np.testing.assert_allclose(found["r50"], 0.03 * sersic[:, 1] * np.sqrt(sersic[:, 3]))
    two = found["bulge_fraction"] > 0
    np.testing.assert_allclose(found["bulge_fraction"][two], 0.3)
    np.testing.assert_allclose(found["hlr_bulge"][two] / found["hlr_disk"][two], 0.4 / 1.3)
    assert (found["n_disk"][two] == 1).all() and (found["hlr_disk"][~two] == found["r50"][~two]).all()
    n = found["n_disk"][~two]
    np.testing.assert_allclose(n, np.clip(sersic[~two, 2], 0.3, 6), atol=0.0251)
    assert len(np.unique(n)) <= 115  # so that tables of profiles are made once per process


def test_sizes_and_shapes_are_those_of_hst_at_the_same_magnitude_and_redshift(made):
    galaxies, donors = made
    i, z = np.asarray(galaxies["mag_i"]), np.asarray(galaxies["redshift"])
    single = np.asarray(galaxies["bulge_fraction_i"]) == 0
    for low in (22, 23, 24):
        drawn, seen = single & (i > low) & (i < low + 1), (donors["mag"] > low) & (donors["mag"] < low + 1)
        quartiles = [np.percentile(v, [25, 50, 75]) for v in (galaxies["hlr_disk"][drawn], donors["r50"][seen])]
        np.testing.assert_allclose(*quartiles, rtol=0.06)
    q, inside = np.asarray(galaxies["q_disk"]), (i > 22) & (i < 25)
    assert (q[inside & (z < 0.9)] > 0.85).mean() > 0.98 and (q[inside & (z > 1.1)] < 0.55).mean() > 0.98


def test_sizes_of_fainter_galaxies_follow_the_relation(made):
    galaxies, _ = made
    i, size = np.asarray(galaxies["mag_i"]), np.log10(np.asarray(galaxies["hlr_disk"]))
    faint = (i > hst_cosmos.LIMIT) & (np.asarray(galaxies["bulge_fraction_i"]) == 0)
    slope, zero = np.polyfit(i[faint] - 24, size[faint], 1)
    assert slope == pytest.approx(galaxy_counts.SIZE_SLOPE, abs=0.01) and zero == pytest.approx(-0.696, abs=0.02)


def test_red_galaxies_have_high_indices(made):
    """At their magnitude and redshift, where the indices of the made HST galaxies depend on nothing."""
    galaxies, _ = made
    single = np.asarray(galaxies["bulge_fraction_i"]) == 0
    colour = np.asarray(galaxies["mag_g"] - galaxies["mag_i"])[single]
    assert spearmanr(colour, np.asarray(galaxies["n_disk"])[single]).statistic == pytest.approx(0.48, abs=0.06)


def test_bulges_are_redder_than_disks(made):
    galaxies, _ = made
    two = np.asarray(galaxies["bulge_fraction_i"]) > 0
    fractions = np.array([np.asarray(galaxies[f"bulge_fraction_{b}"]) for b in "ugrizy"])
    np.testing.assert_allclose(fractions[3, two], 0.3)
    assert (np.diff(fractions[:, two], axis=0) != 0).any() and ((fractions >= 0) & (fractions <= 1)).all()
    assert (fractions[:, ~two] == 0).all()
    assert abs(np.median(fractions[1, two]) - 0.3) > 0.02


def test_another_file_is_refused(tmp_path):
    (tmp_path / "src.fits").write_bytes(b"nothing of the kind")
    with pytest.raises(StudyError, match="not the catalogue of COSMOS fits"):
        hst_cosmos.structures(tmp_path / "src.fits")


@pytest.fixture(scope="module")
def real():
    """The joint sample of the fetched inputs, and the HST galaxies."""
    if not (INPUTS / "fpfs" / "src_cosmos.fits").is_file():
        pytest.skip(f"no fetched inputs in {INPUTS}: run the fetch rules, or set BLENDIMPACT_INPUTS")
    folders = {name: INPUTS / name for name in hst_cosmos.HstCosmos.inputs}
    return hst_cosmos.HstCosmos.build(folders), hst_cosmos.structures(INPUTS / "fpfs" / "src_cosmos.fits")


def _in_bins(galaxies, donors):
    """Yield what is drawn and what HST has by F814W magnitude: half-light radii, axis ratios, indices."""
    i, z = (np.asarray(galaxies[f"mag_{b}"]) for b in "iz")
    mag, fraction = i + 0.44 * (z - i), np.asarray(galaxies["bulge_fraction_i"])
    size = half_light_radius(fraction, galaxies["hlr_bulge"], galaxies["hlr_disk"])
    for low in (20, 21, 22, 23, 24):
        drawn, seen = (mag > low) & (mag < low + 1), (donors["mag"] > low) & (donors["mag"] < low + 1)
        one, alone = drawn & (fraction == 0), seen & (donors["bulge_fraction"] == 0)
        yield (
            (size[drawn], donors["r50"][seen]),
            (np.asarray(galaxies["q_disk"])[drawn], donors["q"][seen]),
            (np.asarray(galaxies["n_disk"])[one], donors["n_disk"][alone]),
        )


@pytest.mark.real
def test_drawn_galaxies_are_those_of_hst(real):
    """Quartiles in bins of magnitude, and the rms ellipticity per component."""
    for sizes, ratios, indices in _in_bins(*real):
        np.testing.assert_allclose(*(np.percentile(v, [25, 50, 75]) for v in sizes), rtol=0.08)
        np.testing.assert_allclose(*(np.percentile(v, [25, 50, 75]) for v in ratios), atol=0.025)
        np.testing.assert_allclose(*(np.percentile(v, [25, 50]) for v in indices), atol=0.11)
        drawn, seen = (np.sqrt((((1 - q) / (1 + q)) ** 2).mean() / 2) for q in ratios)
        assert drawn == pytest.approx(seen, abs=0.01)


@pytest.mark.real
def test_the_sample_has_published_sizes_and_no_few_templates(real):
    """Medians in i of 0.34, 0.25, 0.18 arcsec (HST/COSMOS); the relation that the sizes of fainter galaxies follow."""
    galaxies, donors = real
    i = np.asarray(galaxies["mag_i"])
    size = half_light_radius(galaxies["bulge_fraction_i"], galaxies["hlr_bulge"], galaxies["hlr_disk"])
    medians = [np.median(size[(i > m) & (i < m + 1)]) for m in (22, 23, 24)]
    np.testing.assert_allclose(medians, [0.34, 0.25, 0.18], rtol=0.03)
    known = (donors["mag"] > 20) & (donors["mag"] < 25)
    slope, zero = np.polyfit(donors["mag"][known] - 24, np.log10(donors["r50"][known]), 1)
    assert slope == pytest.approx(galaxy_counts.SIZE_SLOPE, abs=0.003) and zero == pytest.approx(-0.696, abs=0.01)
    bright = (i > 22) & (i < 24)
    assert len(np.unique(galaxies["template"][bright])) > 0.6 * bright.sum()
    red = np.asarray(galaxies["bulge_fraction_i"]) > 0
    assert np.median(galaxies["bulge_fraction_g"][red]) < np.median(galaxies["bulge_fraction_z"][red]) - 0.05
