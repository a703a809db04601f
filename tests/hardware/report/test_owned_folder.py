"""Folders that are replaced whole, and only if all in them is ours."""

import os
import stat

import pytest

from hardware.errors import InputError
from hardware.report.owned_folder import MARK, check_owned, remove_owned, replace_owned


def fill(text):
    def fill(folder):
        (folder / "deep").mkdir()
        (folder / "deep" / "file.txt").write_text(text)

    return fill


def read(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_ours_is_replaced_and_removed(tmp_path):
    folder = tmp_path / "more" / "bundle"
    for text in "old", "new":
        assert replace_owned(folder, fill(text)) == folder
        assert (folder / "deep" / "file.txt").read_text() == text
    assert read(folder) == {"deep/file.txt", MARK}
    (folder / "deep" / "__pycache__").mkdir()
    (folder / "deep" / "__pycache__" / "file.pyc").touch()
    assert list(folder.parent.iterdir()) == [folder]
    remove_owned(folder)
    assert list(folder.parent.iterdir()) == []
    remove_owned(folder)


STRANGERS = {
    "a file": lambda folder: (folder / "notes.txt").write_text("mine"),
    "a deep file": lambda folder: (folder / "deep" / "notes.txt").write_text("mine"),
    "a file like compiled Python": lambda folder: (folder / "notes.pyc").write_text("mine"),
    "a link to a folder": lambda folder: (folder / "link").symlink_to("/"),
    "a broken mark": lambda folder: (folder / MARK).write_text("[" * 100_000),
    "a mark of another kind": lambda folder: (folder / MARK).write_text('{"deep/file.txt": 1}'),
    "no mark": lambda folder: (folder / MARK).unlink(),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_folder_with_anything_else_is_kept(name, tmp_path):
    folder = replace_owned(tmp_path / "bundle", fill("old"))
    STRANGERS[name](folder)
    before = read(folder)
    for act in check_owned, lambda folder: replace_owned(folder, fill("new")):
        with pytest.raises(InputError, match=r"bundle/.*: was not written by qkformer"):
            act(folder)
    remove_owned(folder)
    assert read(folder) == before
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    "make", [lambda path: path.write_text("mine"), lambda path: path.symlink_to("/tmp"), os.mkfifo]
)
def test_what_is_no_folder_is_kept(make, tmp_path):
    make(tmp_path / "bundle")
    with pytest.raises(InputError, match="was not written by qkformer"):
        check_owned(tmp_path / "bundle")
    remove_owned(tmp_path / "bundle")
    assert os.path.lexists(tmp_path / "bundle")


def test_a_users_file_that_comes_while_writing_is_kept(tmp_path):
    folder = replace_owned(tmp_path / "bundle", fill("old"))

    def slowly(place):
        fill("new")(place)
        (folder / "notes.txt").write_text("mine")

    with pytest.raises(InputError, match=r"notes.txt"):
        replace_owned(folder, slowly)
    assert (folder / "notes.txt").read_text() == "mine"


def test_an_interruption_leaves_the_old_folder(tmp_path):
    folder = replace_owned(tmp_path / "bundle", fill("old"))

    def interrupted(place):
        fill("new")(place)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_owned(folder, interrupted)
    assert (folder / "deep" / "file.txt").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


def test_the_umask_holds(tmp_path):
    before = os.umask(0o077)
    try:
        folder = replace_owned(tmp_path / "bundle", fill("new"))
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / MARK)] == [0o700, 0o600]
