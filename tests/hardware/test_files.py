import os
import stat
import threading

import pytest

from hardware.files import write_atomically


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_file_is_whole_and_readable_by_others(tmp_path):
    path = tmp_path / "deep" / "folder" / "file.txt"
    assert write_atomically(path, lambda temporary: temporary.write_text("whole")) == path
    assert path.read_text() == "whole"
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


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


def test_the_mode_of_a_file_stays(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    path.chmod(0o600)
    write_atomically(path, lambda temporary: temporary.write_text("new"))
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)


def test_the_umask_holds_for_a_new_file(tmp_path):
    before = os.umask(0o077)
    try:
        path = write_atomically(tmp_path / "file.txt", lambda temporary: temporary.write_text("new"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to("real.txt")
    write_atomically(link, lambda temporary: temporary.write_text("new"))
    assert link.is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    write_atomically("/dev/null", lambda temporary: temporary.write_text("gone"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    write_atomically(pipe, lambda temporary: temporary.write_text("through"))
    reader.join(10)
    assert read == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_atomically(tmp_path, lambda temporary: temporary.write_text("new"))
    assert list(tmp_path.iterdir()) == []
