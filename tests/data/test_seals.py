"""Products that are not as they were made are refused, whatever their dates say."""

import os

import pytest
from blendimpact.data.seals import check, seal, unseal
from blendimpact.errors import StudyError


@pytest.fixture
def product(tmp_path):
    path = tmp_path / "000.fits"
    path.write_bytes(bytes(range(256)) * 100)
    seal(path, "simulate")
    return path


def flip(path, place=-1):
    """Flip a bit, and let no date tell."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "harm",
    [flip, lambda path: os.truncate(path, 100), lambda path: path.write_bytes(b"")],
    ids=["flipped", "cut", "empty"],
)
def test_what_was_changed_is_refused_with_the_rule_that_makes_it(product, harm):
    assert len(check(product)) == 64
    harm(product)
    with pytest.raises(StudyError, match=r"000\.fits: it is not what the rule simulate made") as error:
        check(product)
    assert "delete it and run again" in str(error.value)


def test_a_folder_is_checked_with_all_that_is_in_it(tmp_path):
    (tmp_path / "000").mkdir()
    (tmp_path / "000" / "a.parquet").write_bytes(b"1234")
    seal(tmp_path / "000", "measure")
    check(tmp_path / "000")
    (tmp_path / "000" / ".snakemake_timestamp").touch()
    check(tmp_path / "000")
    flip(tmp_path / "000" / "a.parquet")
    with pytest.raises(StudyError, match="the rule measure made"):
        check(tmp_path / "000")


def test_what_has_no_seal_is_not_checked(product):
    unseal(product)
    unseal(product)
    flip(product)
    assert len(check(product)) == 64
    assert os.listdir(product.parent) == ["000.fits"]


def test_a_damaged_seal_is_no_proof(product):
    (product.parent / ".000.fits.sha256").write_text("{")
    with pytest.raises(StudyError, match="its seal cannot be read"):
        check(product)
