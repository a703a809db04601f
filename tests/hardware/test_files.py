import pytest

from hardware.files import write_atomically


def test_file_is_whole_and_readable_by_others(tmp_path):
    path = tmp_path / "deep" / "folder" / "file.txt"
    assert write_atomically(path, lambda temporary: temporary.write_text("whole")) == path
    assert path.read_text() == "whole"
    assert path.stat().st_mode & 0o777 == 0o644


def test_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
