"""Files are complete or not there, of one process alone, and an error says what a user can do."""

import errno
import os

import pytest
from blendimpact.data import catalogues
from blendimpact.data.whole import claim, opened, whole
from blendimpact.errors import StudyError


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "a.txt"
    with opened(path) as file:
        file.write("é")
        assert not path.exists()
    assert path.read_bytes() == "é".encode() and os.listdir(tmp_path) == ["a.txt"]


def test_what_fails_leaves_nothing_and_what_was_there_stays(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), opened(path) as file:
        file.write("after")
        raise ZeroDivisionError
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["a.txt"]


def test_two_writers_of_a_file_never_share_one(tmp_path):
    """The later one removes what the earlier, left behind, has begun: it cannot end well, nor harm."""
    path = tmp_path / "a.txt"
    with pytest.raises(FileNotFoundError), opened(path) as old, opened(path) as new:
        old.write("old configuration")
        old.flush()
        new.write("new")
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["a.txt"]


def test_what_killed_processes_left_goes_with_the_next_file_of_that_name(tmp_path):
    for name in ("a.txt.123-abcd.part", "b.txt.123-abcd.part"):
        (tmp_path / name).write_text("half")
    (tmp_path / "a.txt.124-abcd.part").mkdir()
    with opened(tmp_path / "a.txt") as file:
        file.write("x")
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt.123-abcd.part"]


def test_a_folder_takes_the_place_of_the_one_before(tmp_path):
    for text in ("one", "two"):
        with whole(tmp_path / "f") as part:
            os.mkdir(part)
            with open(f"{part}/{text}", "w"):
                pass
    assert os.listdir(tmp_path) == ["f"] and os.listdir(tmp_path / "f") == ["two"]


def test_a_job_whose_log_another_has_taken_names_no_product(tmp_path):
    path = tmp_path / "a.txt"
    with open(tmp_path / "log", "w") as log, claim(log):
        with opened(path) as file:
            file.write("mine")
        (tmp_path / "log").unlink()  # as Snakemake does before it starts a job
        with pytest.raises(StudyError, match="another run makes this product"), opened(path) as file:
            file.write("old configuration")
        (tmp_path / "log").write_text("of the next job")
        with pytest.raises(StudyError, match="another run makes this product"), opened(path) as file:
            file.write("old configuration")
    assert path.read_text() == "mine" and sorted(os.listdir(tmp_path)) == ["a.txt", "log"]


def test_a_full_disk_is_said_with_path_and_space(tmp_path):
    path = tmp_path / "a.txt"
    with (
        pytest.raises(StudyError, match=r"the disk is full.*MB are left, and more than 3 MB are needed") as error,
        opened(path) as file,
    ):
        file.write("x" * 3_000_000)
        file.flush()
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(path) in str(error.value) and os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_known_from_the_real_error(tmp_path):
    with pytest.raises(StudyError, match="the disk is full"), whole(tmp_path / "a"), open("/dev/full", "wb") as file:
        file.write(bytes(10**6))


def test_a_folder_of_tables_is_complete_or_not_there(tmp_path):
    with pytest.raises(AttributeError):
        catalogues.write_folder({"a": None}, tmp_path / "f")
    assert os.listdir(tmp_path) == []
