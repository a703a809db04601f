"""Hostile folders of pictures: broken ones, bombs in every format, links in a circle, descriptions, names."""

import os
import struct

import pytest
from hostile.case import check_promises
from hostile.data.writers import declared_png, encoded, picture, write_pictures
from PIL import Image

pytest.importorskip("datasets", reason="Hugging Face datasets is an optional package")

LONG = pytest.mark.long
BROKEN = {  # the name of a file of test/a -> its content, and what the line names
    "truncated PNG": ("0.png", encoded(picture(), "PNG")[:60], ["cannot be decoded"]),
    "truncated JPEG": ("0.jpg", encoded(picture((64, 64)), "JPEG")[:400], ["cannot be decoded"]),
    "empty": ("0.png", b"", ["cannot be decoded"]),
    "text": ("0.png", b"hello", ["cannot be decoded"]),
    "16 bits": ("0.png", encoded(Image.new("I;16", (8, 8)), "PNG"), ["I;16", "8 bits"]),
    "32 bits": ("0.tiff", encoded(Image.new("I", (8, 8)), "TIFF"), ["mode I", "8 bits"]),
    "floats": ("0.tiff", encoded(Image.new("F", (8, 8)), "TIFF"), ["mode F", "8 bits"]),
    "another size": ("0.png", encoded(picture((9, 8)), "PNG"), ["9x8", "8x8"]),
}
BOMBS = {
    "PNG": ("0.png", declared_png(20_000, 20_000)),
    "large PNG": ("0.png", declared_png(10_000, 10_000)),
    "BMP": (
        "0.bmp",
        b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHH6I", 40, 30_000, 30_000, 1, 24, *[0] * 6),
    ),
    "GIF": (
        "0.gif",
        b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(3) + b"," + struct.pack("<4HB", 0, 0, 65_535, 65_535, 0),
    ),
    "PPM": ("0.ppm", b"P6 40000 40000 255\n"),
    "TIFF": ("0.tiff", encoded(Image.new("1", (20_000, 20_000)), "TIFF", compression="group4")),
}
READABLE = {
    "palette": ("0.png", encoded(picture(mode="P"), "PNG")),
    "alpha": ("0.png", encoded(picture(mode="RGBA"), "PNG")),
    "grey and alpha": ("0.png", encoded(picture(mode="LA"), "PNG")),
    "one bit": ("0.png", encoded(picture(mode="1"), "PNG")),
    "CMYK": ("0.tiff", encoded(picture(mode="CMYK"), "TIFF")),
    "wrong suffix": ("0.png", encoded(picture((8, 8)), "BMP")),
    "moving": ("0.gif", encoded(picture(mode="P"), "GIF", save_all=True, append_images=[picture(mode="P")] * 20)),
}


def some(cases, short):
    """All of the cases; those that are not in the short form are marked."""
    return [name if name in short else pytest.param(name, marks=LONG) for name in cases]


def refused(outcome, names):
    check_promises(outcome)
    assert outcome.status == 2, outcome
    for name in names:
        assert name in outcome.err, outcome
    assert "\x1b" not in outcome.out + outcome.err


@pytest.mark.parametrize("name", some(BROKEN, ["truncated PNG", "16 bits"]))
def test_a_broken_picture_is_named(name, run, tmp_path):
    file, content, names = BROKEN[name]
    (write_pictures(tmp_path) / "test" / "a" / "0.png").unlink()
    (tmp_path / "pictures" / "test" / "a" / file).write_bytes(content)
    refused(run("pictures"), names if "size" in name else [file, *names])


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("name", some(BOMBS, ["large PNG"]))
def test_a_bomb_is_refused_before_it_is_decoded(name, part, run, tmp_path):
    file, content = BOMBS[name]
    folder = write_pictures(tmp_path)
    (folder / part / "a" / "0.png").unlink()
    (folder / part / "a" / file).write_bytes(content)
    outcome = run("pictures")
    refused(outcome, [file])
    assert outcome.peak < 600 << 20


@pytest.mark.parametrize("name", some(READABLE, ["CMYK"]))
def test_what_can_be_read_is(name, run, tmp_path):
    file, content = READABLE[name]
    folder = write_pictures(tmp_path)
    (folder / "test" / "a" / "0.png").unlink()
    (folder / "test" / "a" / file).write_bytes(content)
    outcome = run("pictures")
    check_promises(outcome)
    assert outcome.status == 0, outcome


FOLDERS = {
    "a link to the top": (lambda folder: (folder / "test/a/again").symlink_to(folder), ["again", "leads back"]),
    "a link to itself": (lambda folder: (folder / "test/a/again").symlink_to("."), ["again", "leads back"]),
    "an address": (
        lambda folder: (folder / "README.md").write_text("---\nconfigs:\n- data_files: https://a.b/c\n---\n"),
        ["README.md", "hub:"],
    ),
    "files elsewhere": (
        lambda folder: (folder / "README.md").write_text(
            "---\nconfigs:\n- config_name: default\n  data_files: ../elsewhere/*.parquet\n---\n"
        ),
        ["pictures"],
    ),
    "no description": (lambda folder: (folder / "README.md").write_text("---\nconfigs: [[[\n---\n"), ["pictures"]),
    "a number as one": (lambda folder: (folder / "README.md").write_text("---\nconfigs: 7\n---\n"), ["pictures"]),
    "no test": (lambda folder: [p.unlink() for p in (folder / "test").rglob("*.png")], ["pictures", "test"]),
    "a bad table": (lambda folder: (folder / "test/metadata.csv").write_text("file_name,x\nno.png,1\n"), ["pictures"]),
}


@pytest.mark.parametrize("name", some(FOLDERS, ["a link to the top", "an address"]))
def test_a_hostile_folder(name, run, tmp_path):
    make, names = FOLDERS[name]
    make(write_pictures(tmp_path))
    refused(run("pictures"), names)


@LONG
def test_names_are_shown_and_not_obeyed(run, tmp_path):
    name = "[x] [bold]\x1b[2K\n"
    write_pictures(tmp_path, name, __png=b"no picture")
    (tmp_path / name / "test/a/0.png").write_bytes(b"bad")
    refused(run(name), ["[x] [bold]\\x1b[2K"])


def test_a_pipe_among_pictures_is_no_wait(run, tmp_path):
    folder = write_pictures(tmp_path)
    (folder / "test/a/0.png").unlink()
    os.mkfifo(folder / "test/a/0.png")
    check_promises(run("pictures"))


@pytest.mark.parametrize(
    "data", ["", " ", "\n", "~nobody/data", "nosuch", "/dev/null", "pipe", "hub:", "hub:a", "hub:../x/y"]
)
def test_what_is_no_data_set(data, run, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(run(data), ["data"])


def test_a_pipe_as_an_npz_file_is_no_wait(run, tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    refused(run("pipe.npz"), ["pipe.npz"])


def test_a_folder_of_too_many_files(monkeypatch, tmp_path):
    from qkformer.data import DataError, load_images, local_folder

    write_pictures(tmp_path)
    monkeypatch.setattr(local_folder, "LARGEST_FOLDER", 5)
    with pytest.raises(DataError, match="more than 5 files"):
        load_images(str(tmp_path / "pictures"), "test")
