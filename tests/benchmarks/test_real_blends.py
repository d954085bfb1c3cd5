"""Deblenders on real HSC blends: light is conserved, bright fluxes agree, models explain the image; HST as truth."""

import sys

import numpy as np
import pytest

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def real(root, tmp_path_factory):
    pytest.importorskip("scarlet2", reason="scarlet2 is not installed")
    sys.path.insert(0, str(root / "benchmarks"))
    try:
        import real_blends
    finally:
        sys.path.remove(str(root / "benchmarks"))
    if not real_blends.DATA.is_dir():
        pytest.skip(f"no real data in {real_blends.DATA} (BLENDIMPACT_REALDATA names another place)")
    return real_blends


@pytest.fixture(scope="module", params=["hsc_cosmos_35", "hsc_cosmos"])
def blended(request, real):
    return real.on_blend(request.param)


def test_the_fluxes_of_bright_sources_agree(blended):
    _, _, result = blended
    flux = np.array([f for f, _, _ in result.values()])
    bright = np.median(flux, axis=0) > 100
    assert bright.any()
    ratio = flux[:, bright] / np.median(flux[:, bright], axis=0)
    assert np.abs(ratio - 1).max() < 0.03


def test_models_explain_the_image(blended):
    patch, _, result = blended
    images = np.stack([b.science for b in patch.bands.values()])
    variance = np.stack([b.variance for b in patch.bands.values()])
    nothing = float((images**2 / variance).mean())
    chi2 = {name: c for name, (_, c, _) in result.items() if np.isfinite(c)}
    assert set(chi2) == {"joint_fit", "scarlet2_sersic", "scarlet2_free"}
    assert max(chi2.values()) - 1 < 0.03 * nothing  # noise leaves 1
    # A profile is no description of a bright real galaxy; a free form is a better one.
    assert chi2["scarlet2_free"] < chi2["joint_fit"]


@pytest.mark.parametrize("name", ["joint_fit", "scarlet2_free", "symmetric"])
def test_children_add_up_to_the_light_of_the_image(real, name):
    patch, table = real.read_blend("hsc_cosmos")
    children, _ = real.deblend(name, patch, table)
    image = patch.bands["i"].science
    seen = image > 10 * np.sqrt(patch.bands["i"].variance)
    assert real.total(children, patch.shape)[2][seen].sum() == pytest.approx(image[seen].sum(), rel=0.03)


@pytest.mark.parametrize("name", ["", "1"])
def test_space_truth_on_the_same_sky(real, name):
    flux, truth, found = real.on_pair(name)
    assert len(truth) >= 3
    # So few sources, of unknown colours, rank no deblender: only that all have a flux, and what is found.
    assert all(np.isfinite(f).all() for f in flux.values())
    assert 1 <= found["sep"] <= found["peaks"] <= len(truth)
