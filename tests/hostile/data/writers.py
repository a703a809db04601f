"""Writers of hostile data: containers that are whole, and whose parts are not what they should be."""

import io
import struct
import zipfile
import zlib

import nir
import numpy as np
from PIL import Image
from small_graphs import conv, flatten_node, graph, integrate_and_fire

import hardware
from hardware import Encoding

IMAGES = np.random.default_rng(0).random((4, 1, 8, 8)).astype(np.float32)
LABELS = np.arange(4)
CLASSES = 10


def write_graph(folder):
    """model.nir, which takes images [1, 8, 8] with 1 -> 127 and has 10 classes."""
    weight = np.random.default_rng(1).integers(-9, 10, (CLASSES, 64)).astype(np.float32)
    nodes = {
        "conv": conv([[[[3]]]], size=(8, 8)),
        "fire": integrate_and_fire((1, 8, 8), threshold=100),
        "flatten": flatten_node((1, 8, 8)),
        "head": nir.Affine(weight, np.zeros(CLASSES, np.float32)),
    }
    tiny = graph((1, 8, 8), nodes, ["input -> conv -> fire -> flatten -> head -> output"], (CLASSES,))
    tiny.metadata.update(Encoding("tiny", (1, 8, 8), time_steps=2, input_scale=1 / 127).to_metadata())
    hardware.write_graph(tiny, folder / "model.nir")


def write_npz(path, **arrays):
    np.savez(path, **({"images": IMAGES, "labels": LABELS} | arrays))


def write_member(path, content, name="images.npy", claimed=0):
    """An .npz file with one member of these bytes, or that claims to be of so many."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        archive.filelist[0].file_size = claimed or len(content)


def npy(header, content=b""):
    """An array file with any text as its header."""
    text = str(header).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def declared(shape, descr="<f4", fortran_order=False, content=b""):
    return npy({"descr": descr, "fortran_order": fortran_order, "shape": shape}, content)


def picture(size=(8, 8), mode="RGB"):
    width, height = size
    values = np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def encoded(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def declared_png(width, height):
    """A whole PNG of black and white pixels, whose rows compress to nearly nothing."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width // 8 + 1)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, (b"IHDR", b"IDAT", b"IEND"), (header, rows, b"")))


def _chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def write_pictures(folder, name="pictures", **files):
    """train and test of two classes; files: content of test/a/NAME, with "__" for the dot of the suffix."""
    for split in "train", "test":
        for label in "a", "b":
            place = folder / name / split / label
            place.mkdir(parents=True)
            picture().save(place / "0.png")
    for file, content in files.items():
        (folder / name / "test" / "a" / file.replace("__", ".")).write_bytes(content)
    return folder / name
