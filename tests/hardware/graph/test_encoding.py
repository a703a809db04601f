import nir
import numpy as np
import pytest
import torch
from small_graphs import chain, threshold

import hardware
from hardware import Encoding, GraphError
from hardware.errors import InputError

IMAGES = Encoding("digits", (1, 2, 2), time_steps=3, input_scale=1 / 127, logit_scale=0.5)
EVENTS = Encoding("gestures", (2, 2, 2), time_steps=3, events=True)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_images_are_shown_at_every_time_step(kind):
    images = kind(np.array([0.0, 0.5, 1.0, 2.0, -1.0, -9.0, 0.004, 0.003]).reshape(2, 1, 2, 2))
    codes = IMAGES.encode(images)
    assert codes.shape == (3, 2, 1, 2, 2)
    assert codes.dtype == np.int8
    assert codes[0].reshape(2, 4).tolist() == [[0, 64, 127, 127], [-127, -127, 1, 0]]
    assert (codes == codes[0]).all()


def test_events_keep_their_time():
    counts = np.arange(2 * 3 * 8).reshape(2, 3, 2, 2, 2)
    np.testing.assert_array_equal(EVENTS.encode(counts), counts.swapaxes(0, 1))


def test_logits_are_the_same_for_numpy_and_torch():
    output = np.random.default_rng(0).integers(-1000, 1000, (3, 2, 10), np.int32)
    expected = output.sum(0) * 0.5
    np.testing.assert_array_equal(IMAGES.logits(output), expected)
    np.testing.assert_array_equal(IMAGES.logits(torch.from_numpy(output).double()).numpy(), expected)


@pytest.mark.parametrize("shape", [(1, 2, 2), (2, 1, 2, 3), (2, 2, 2, 2), (0, 1, 2, 2), (1, 3, 1, 2, 2), ()])
def test_images_of_another_shape(refuses, shape):
    with refuses(InputError, "digits", "[B, 1, 2, 2]", str(list(shape))):
        IMAGES.encode(np.zeros(shape))


def test_events_without_time(refuses):
    with refuses(InputError, "gestures", "[B, 3, 2, 2, 2]", "[1, 2, 2, 2]"):
        EVENTS.encode(np.zeros((1, 2, 2, 2)))


@pytest.mark.parametrize(("values", "named"), [("a", "<U1"), (1j, "complex128"), (True, "bool"), (None, "object")])
def test_images_of_another_type(refuses, values, named):
    with refuses(InputError, "digits", "real numbers", named):
        IMAGES.encode(np.full((1, 1, 2, 2), values))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_images_that_are_not_finite(refuses, value):
    images = np.zeros((1, 1, 2, 2))
    images[0, 0, 1, 0] = value
    with refuses(InputError, "digits", "NaN or infinite"):
        IMAGES.encode(images)


@pytest.mark.parametrize("encoding", [IMAGES, EVENTS])
def test_encoding_travels_in_the_metadata_of_a_file(tmp_path, encoding):
    graph = chain(encoding.input_shape, threshold(encoding.input_shape))
    graph.metadata.update(encoding.to_metadata())
    assert hardware.encoding_of(graph) == encoding
    nir.write(tmp_path / "model.nir", graph)
    assert hardware.encoding_of(hardware.read_graph(tmp_path / "model.nir")) == encoding


def test_graph_without_encoding(refuses):
    graph = chain([1], threshold([1]))
    graph.metadata.update(name="x", time_steps=2)
    with refuses(GraphError, "lacks input_shape, input_scale, logit_scale, events"):
        hardware.encoding_of(graph)
