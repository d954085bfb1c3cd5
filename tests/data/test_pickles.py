"""Pickles are read as data: whatever asks for a function of its own is refused before it is called."""

import os
import pickle
import subprocess

import numpy as np
import pandas as pd
import pytest
from blendimpact.data import pickles
from blendimpact.errors import StudyError
from blendimpact.populations import buzzard, isochrone


class Call:
    """What a pickle of an attacker holds: a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_arrays_and_tables_come_as_they_were_written(tmp_path):
    arrays = {"a": np.arange(3.0), "b": np.float64(2.5), "c": ["x", 1]}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(arrays))
    found = pickles.load(tmp_path / "a.pkl", "arrays")
    assert found["b"] == 2.5 and found["c"] == ["x", 1] and (found["a"] == arrays["a"]).all()
    frame = pd.DataFrame({"u": np.arange(4.0), "n": [1, 2, 3, 4]})
    frame.columns = frame.columns.astype(object)
    frame.to_pickle(tmp_path / "f.pkl")
    pd.testing.assert_frame_equal(pickles.load(tmp_path / "f.pkl", "a table"), frame)


@pytest.mark.parametrize("read", [buzzard.photometry, isochrone.build_isochrone])
@pytest.mark.parametrize("kind", ["system", "subprocess", "eval", "nested in an array"])
def test_a_pickle_in_the_place_of_a_fetched_file_runs_nothing(tmp_path, read, kind):
    touched = tmp_path / "touched"
    call = {
        "system": Call(os.system, f"touch {touched}"),
        "subprocess": Call(subprocess.check_output, ["touch", str(touched)]),
        "eval": Call(eval, f"open({str(touched)!r}, 'w')"),
    }
    call["nested in an array"] = np.array([call["system"]], dtype=object)
    (tmp_path / "data.pkl").write_bytes(pickle.dumps({"u": call[kind]}))
    with pytest.raises(StudyError, match="it asks for") as error:
        read(tmp_path / "data.pkl")
    assert "data.pkl" in str(error.value) and "fetched again" in str(error.value)
    assert not touched.exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(3), pickle.dumps([1])[:-3]])
def test_other_files_are_refused_with_a_sentence(tmp_path, content):
    (tmp_path / "data.pkl").write_bytes(content)
    for read in (buzzard.photometry, isochrone.build_isochrone):
        with pytest.raises(StudyError, match="data.pkl: not"):
            read(tmp_path / "data.pkl")
