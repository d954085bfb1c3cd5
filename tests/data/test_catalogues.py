"""Tables that are put together from thousands of parts are those that astropy would have stacked."""

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table, vstack
from blendimpact.data import catalogues
from blendimpact.errors import StudyError
from hypothesis import given
from hypothesis import strategies as st

COLUMNS = {
    "case": (None, "science case"),
    "patch": (None, "number of the patch"),
    "x": ("pix", "along axis 1"),
    "kind": (None, "a word"),
    "good": (None, "whether it is"),
}
IDS = {"case": "two_point", "patch": 7}


def part(words):
    n = len(words)
    return Table(
        {
            "good": np.arange(n) % 2 == 0,
            "kind": np.array(words, dtype="U9" if not n else None),
            "x": np.linspace(0, 1, n).astype(np.float32),
            "other": np.zeros(n),
        }
    )


@given(st.lists(st.lists(st.sampled_from(["a", "bc", "four", "é"]), max_size=4), min_size=1, max_size=5))
def test_joined_parts_are_the_stacked_tables(words):
    tables = [part(w) for w in words]
    joined = catalogues.join([catalogues.with_ids(t, IDS, COLUMNS) for t in tables], COLUMNS)
    for table in tables:
        for name, value in IDS.items():
            table[name] = np.full(len(table), value)
    full = [t for t in tables if len(t)] or tables[:1]
    stacked = vstack(full, metadata_conflicts="silent")[list(COLUMNS)]
    assert joined.colnames == list(COLUMNS)
    for name in COLUMNS:
        assert joined[name].dtype == stacked[name].dtype, name
        np.testing.assert_array_equal(joined[name], stacked[name])
        assert joined[name].info.description == COLUMNS[name][1]
    assert str(joined["x"].unit) == "pix" and joined["kind"].unit is None


def test_parts_are_copied_and_may_be_tables_with_more_columns():
    values = catalogues.with_ids(part(["a", "b"]), IDS, COLUMNS)
    table = catalogues.table_of(values, COLUMNS)
    table["more"] = 1.0
    joined = catalogues.join([values, table], COLUMNS)
    values["x"][0] = 99
    assert len(joined) == 4 and joined["x"].max() == 1


def test_masked_values_are_refused_and_not_lost():
    table = part(["a", "b"])
    table["x"] = MaskedColumn([1.0, 2.0], mask=[False, True])
    with pytest.raises(StudyError, match="masked"):
        catalogues.with_ids(table, IDS, COLUMNS)
