"""The joint sample: synthetic photometry, how catalogues are joined, counts; and the real inputs."""

import os
import time
from pathlib import Path

import galsim
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.cosmology import FlatLambdaCDM
from blendimpact.data import catalogues
from blendimpact.errors import StudyError
from blendimpact.populations import galaxy_counts as pop
from blendimpact.populations.cosmodc2 import build_galaxies, synthetic_flux
from blendimpact.populations.trilegal import build_stars
from blendimpact.sky.half_light import half_light_radius
from scipy.integrate import quad

ROOT = Path(__file__).resolve().parents[2]
COSMOLOGY = FlatLambdaCDM(H0=71.0, Om0=0.2648)


@pytest.fixture
def inputs_dir():
    """Directory of the fetched inputs (``pzflow/``, ``skycatalogs/``)."""
    path = Path(os.environ.get("BLENDIMPACT_INPUTS", ROOT / "results" / "inputs"))
    if not (path / "pzflow" / "galaxy-data.pkl").is_file() or not list((path / "skycatalogs").glob("galaxy_*.parquet")):
        pytest.skip(f"no fetched inputs in {path}: run the fetch rules, or set BLENDIMPACT_INPUTS")
    return path


@pytest.fixture
def made_inputs(tmp_path):
    """Return a small pzflow pickle and skycatalogs files made here: disks at z < 1, bulges beyond."""
    rng = np.random.default_rng(4)
    i = 28.0 + np.log10(rng.uniform(size=4000)) / 0.31
    frame = pd.DataFrame({"redshift": rng.uniform(0.1, 2.0, 4000)})
    for k, band in enumerate("ugrizy"):
        frame[band] = i + (3 - k) * 0.3
    frame.columns = frame.columns.astype(object)  # as pandas kept names when that file was made
    frame.to_pickle(tmp_path / "galaxy-data.pkl")

    n, z = 300, rng.uniform(0.1, 2.0, 300)
    distance = COSMOLOGY.luminosity_distance(z).to_value("m")
    mag = rng.uniform(21, 28, n)  # flat spectra of these AB magnitudes
    sed = np.ones((n, 30)) * (10 ** (-0.4 * (mag + 56.1)) * 4 * np.pi * distance**2 / (4.4659e13 * (1 + z)))[:, None]
    early = (z > 1)[:, None]
    columns = {
        "galaxy_id": np.arange(n) + 10**9,
        "redshift": z,
        "redshift_hubble": z,
        "size_bulge_true": np.full(n, 0.2),
        "size_minor_bulge_true": np.full(n, 0.2),
        "size_disk_true": np.full(n, 0.5),
        "size_minor_disk_true": np.full(n, 0.32),
        "sersic_bulge": np.full(n, 4.0),
        "sersic_disk": np.full(n, 1.0),
        "sed_val_bulge": list(sed * early),
        "sed_val_disk": list(0.75 * sed * ~early),
        "sed_val_knots": list(0.25 * sed * ~early),
    }
    half = n // 2 + 20  # some galaxies are in both files
    for name, part in (("galaxy_1.parquet", slice(0, half)), ("galaxy_2.parquet", slice(n // 2, n))):
        pq.write_table(pa.table({k: v[part] for k, v in columns.items()}), tmp_path / name)
    pq.write_table(pa.table({"galaxy_id": [1], "lsst_flux_i": [0.0]}), tmp_path / "galaxy_flux_1.parquet")
    stars = {"id": [f"s{k}" for k in range(50)], **{f"{b}mag": np.linspace(18, 27, 50) for b in "ugrizy"}}
    pq.write_table(pa.table(stars), tmp_path / "trilegal_1.parquet")
    return tmp_path / "galaxy-data.pkl", sorted(tmp_path.glob("*.parquet"))


def test_flux_of_a_flat_spectrum():
    """L_nu the same at all wavelengths: f_nu = L (1 + z) / (4 pi d^2) in every band."""
    z = np.array([0.05, 0.5, 1.0])
    flux = synthetic_flux(np.full((3, 30), 7.0), z, z)
    distance = COSMOLOGY.luminosity_distance(z).to_value("m")
    expected = 7.0 * 4.4659e13 * (1 + z) / (4 * np.pi * distance**2) * 1e26 * 1e9  # W/m2/Hz to nJy
    np.testing.assert_allclose(flux, np.repeat(expected[:, None], 6, axis=1), rtol=1e-6)


def test_flux_of_one_tophat_agrees_with_galsim():
    """A single bin of the SED, redshifted, through GalSim's own bandpass and AB zero point."""
    sed, z = np.zeros((1, 30)), 0.4
    sed[0, 16] = 3.0  # 5806 to 6166 Angstrom at rest: in i at z = 0.4
    flux = synthetic_flux(sed, np.array([z]), np.array([z]))[0]
    low, high, clight = 5806 * 1.4 / 10, 6166 * 1.4 / 10, 2.99792458e17  # nm, nm/s
    density = 3.0 * 4.4659e13 * 1.4 / (4 * np.pi * COSMOLOGY.luminosity_distance(z).to_value("m") ** 2) * 1e3  # cgs
    wave = np.concatenate([[300, low - 0.01], np.linspace(low, high, 400), [high + 0.01, 1200]])
    f_lambda = np.where((wave >= low) & (wave <= high), density * clight / wave**2, 0.0)
    spectrum = galsim.SED(galsim.LookupTable(wave, f_lambda, interpolant="linear"), "nm", "flambda")
    bandpass = galsim.Bandpass("LSST_i.dat", "nm").withZeropoint("AB")
    assert 31.4 - 2.5 * np.log10(flux[3]) == pytest.approx(spectrum.calculateMagnitude(bandpass), abs=2e-3)
    assert (flux[[0, 1, 5]] < 1e-6 * flux[3]).all()


def test_join_copies_structure(made_inputs):
    """Templates are near in redshift, so z > 1 gets bulges; sizes follow distance and luminosity."""
    galaxies = build_galaxies(*made_inputs)
    z, fraction = galaxies["redshift"], galaxies["bulge_fraction_r"]
    assert (fraction[z < 0.8] == 0).mean() > 0.95 and (fraction[z > 1.25] == 1).mean() > 0.95
    np.testing.assert_allclose(galaxies["q_disk"], 0.64)
    np.testing.assert_allclose(galaxies["hlr_disk"] / galaxies["hlr_bulge"], 0.4 / 0.2, rtol=1e-6)
    template = dict(zip(range(10**9, 10**9 + 300), range(300)))
    assert set(galaxies["template"]) <= set(template)

    frame = pq.read_table(made_inputs[1][0]).to_pandas()
    first = galaxies[galaxies["template"] == frame["galaxy_id"][7]][0]
    zt = frame["redshift"][7]
    sed = np.array(frame["sed_val_disk"][7] + frame["sed_val_knots"][7] + frame["sed_val_bulge"][7])[None]
    mag = 31.4 - 2.5 * np.log10(synthetic_flux(sed, np.array([zt]), np.array([zt]))[0, 3])
    brighter = (mag - COSMOLOGY.distmod(zt).value) - (first["mag_i"] - COSMOLOGY.distmod(first["redshift"]).value)
    kpc = 0.4 * COSMOLOGY.angular_diameter_distance(zt).value * 10 ** (-pop.SIZE_SLOPE * brighter)
    assert first["hlr_disk"] == pytest.approx(
        kpc / COSMOLOGY.angular_diameter_distance(first["redshift"]).value, rel=1e-6
    )


def test_faint_end_is_dimmed(made_inputs):
    galaxies = build_galaxies(*made_inputs)
    i, dimmed = np.asarray(galaxies["mag_i"]), np.asarray(galaxies["origin"]) == "dimmed"
    assert (np.diff(i) >= 0).all()
    assert i[~dimmed].max() < pop.COMPLETE <= i[dimmed].min() and i.max() > pop.FAINTEST
    np.testing.assert_allclose(galaxies["mag_g"] - galaxies["mag_i"], 0.6)
    assert np.histogram(i[dimmed], 10)[0].min() > 0.8 * dimmed.sum() / 10


def test_tables_round_trip(made_inputs, tmp_path):
    """With units and descriptions, through Parquet; nothing in them is random."""
    galaxies, stars = build_galaxies(*made_inputs), build_stars(made_inputs[1])
    for name, table in (("galaxies", galaxies), ("stars", stars)):
        catalogues.write(table, tmp_path / f"{name}.parquet")
        again = catalogues.read(tmp_path / f"{name}.parquet", table.colnames)
        assert again["mag_i"].unit == "mag" and again["mag_i"].info.description
        assert all(np.array_equal(np.asarray(table[c]), np.asarray(again[c])) for c in table.colnames)
    twice = build_galaxies(*made_inputs)
    assert all(np.array_equal(np.asarray(galaxies[c]), np.asarray(twice[c])) for c in galaxies.colnames)
    assert len(stars) == 50


@pytest.mark.parametrize("fraction, bulge, disk", [(0.0, 0.1, 0.3), (1.0, 0.1, 0.3), (0.5, 0.3, 0.3)])
def test_half_light_of_one_component(fraction, bulge, disk):
    assert half_light_radius(fraction, bulge, disk) == pytest.approx(bulge if fraction == 1 else disk, rel=1e-3)


@pytest.mark.parametrize("fraction, bulge, disk", [(0.4, 0.2, 0.5), (0.7, 0.5, 0.2), (0.05, 0.05, 1.0)])
def test_half_light_holds_half_the_light(fraction, bulge, disk):
    """Integral of GalSim's profiles inside the radius; the parameter of an array is its element's."""
    both = fraction * galsim.DeVaucouleurs(half_light_radius=bulge) + (1 - fraction) * galsim.Exponential(
        half_light_radius=disk
    )
    radius = half_light_radius(fraction, bulge, disk)
    inside = quad(lambda r: 2 * np.pi * r * both.xValue(r, 0), 0, radius, limit=200, epsrel=1e-6)[0]
    assert inside == pytest.approx(0.5, abs=1e-3)
    assert half_light_radius([fraction, 0.0], [bulge, 1.0], [disk, 3.0])[0] == radius


def test_counts():
    """57, 117 and 192 per arcmin2 at i = 25.3, 26.3, 27; the inverse draws them."""
    np.testing.assert_allclose(pop.counts([25.3, 26.3, 27.0]), [57, 116.3, 191.8], rtol=5e-3)
    drawn = pop.magnitude_at(np.random.default_rng(1).uniform(size=200000))
    for i in (23.0, 25.0, 27.0):
        expected = pop.counts(i) / pop.counts(pop.FAINTEST)
        assert (drawn < i).mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / 200000))


def test_refuses_other_files(tmp_path, made_inputs):
    (tmp_path / "bad.pkl").write_bytes(b"not a pickle")
    with pytest.raises(StudyError, match="not pzflow's table"):
        build_galaxies(tmp_path / "bad.pkl", made_inputs[1])
    (tmp_path / "galaxy_9.parquet").write_bytes(b"PAR1 truncated")
    with pytest.raises(StudyError, match="galaxy_9.parquet"):
        build_galaxies(made_inputs[0], [tmp_path / "galaxy_9.parquet"])
    with pytest.raises(StudyError, match="no trilegal_"):
        build_stars([made_inputs[1][0]])


@pytest.fixture(scope="session")
def _built():
    return {}


@pytest.fixture
def real_galaxies(inputs_dir, _built):
    if "galaxies" not in _built:
        start = time.process_time()
        _built["galaxies"] = build_galaxies(
            inputs_dir / "pzflow" / "galaxy-data.pkl", list((inputs_dir / "skycatalogs").glob("*.parquet"))
        )
        _built["seconds"] = time.process_time() - start
    return _built["galaxies"]


@pytest.mark.real
def test_real_sample_is_sensible(real_galaxies, _built):
    """Redshifts, colours, sizes and shapes against what deep fields show (wide limits)."""
    assert _built["seconds"] < 60
    i = np.asarray(real_galaxies["mag_i"])
    size = half_light_radius(real_galaxies["bulge_fraction_i"], real_galaxies["hlr_bulge"], real_galaxies["hlr_disk"])
    medians = [np.median(size[(i > m) & (i < m + 1)]) for m in range(20, 28)]
    assert (np.diff(medians) < 0).all()
    slope = np.polyfit(np.arange(20.5, 25), np.log10(medians[:5]), 1)[0]
    assert -0.16 < slope < -0.07
    # HST/COSMOS (F814W): 0.37" at 22-23, 0.27" at 23-24, 0.19" at 24-25; cosmoDC2 is smaller.
    np.testing.assert_allclose(medians[2:5], [0.37, 0.27, 0.19], rtol=0.3)
    lensing = (i > 22) & (i < 25.3)
    g = (1 - np.asarray(real_galaxies["q_disk"])) / (1 + np.asarray(real_galaxies["q_disk"]))
    assert 0.20 < np.sqrt((g[lensing] ** 2).mean() / 2) < 0.27
    z = np.asarray(real_galaxies["redshift"])
    assert 0.7 < np.median(z[lensing]) < 1.0
    assert 0.5 < np.median(np.asarray(real_galaxies["mag_g"] - real_galaxies["mag_r"])[lensing]) < 0.9
    fraction = np.asarray(real_galaxies["bulge_fraction_i"])[lensing]
    assert 0.1 < fraction.mean() < 0.45 and 0.3 < (fraction < 0.1).mean() < 0.8


@pytest.mark.real
def test_real_magnitudes_agree_with_the_catalogue_fluxes(inputs_dir):
    """From SEDs and as photon fluxes (other bandpasses, dust, lensing): apart by a constant."""
    main = pd.concat(
        [
            pq.read_table(
                f,
                columns=["galaxy_id", "redshift", "redshift_hubble", "sed_val_bulge", "sed_val_disk", "sed_val_knots"],
            ).to_pandas()
            for f in (inputs_dir / "skycatalogs").glob("galaxy_[0-9]*.parquet")
        ]
    )
    fluxes = pd.concat(
        [pq.read_table(f).to_pandas() for f in (inputs_dir / "skycatalogs").glob("galaxy_flux_*.parquet")]
    )
    both = main.merge(fluxes[fluxes["lsst_flux_i"] > 0], on="galaxy_id")
    sed = sum(np.stack(both[f"sed_val_{part}"]) for part in ("bulge", "disk", "knots"))
    ours = -2.5 * np.log10(synthetic_flux(sed, both["redshift"].to_numpy(), both["redshift_hubble"].to_numpy()))
    for k, band in enumerate("grizy", start=1):
        difference = -2.5 * np.log10(both[f"lsst_flux_{band}"].to_numpy()) - ours[:, k]
        assert 1.4826 * np.median(np.abs(difference - np.median(difference))) < 0.15


@pytest.mark.real
def test_real_stars(inputs_dir):
    stars = build_stars(list((inputs_dir / "skycatalogs").glob("*.parquet")))
    assert len(stars) > 2500 and np.isfinite(stars["mag_i"]).all()
    assert 0.8 < np.median(stars["mag_g"] - stars["mag_r"]) < 1.3  # red dwarfs
