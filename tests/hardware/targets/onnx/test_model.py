"""The file: standard, small, for any batch and number of time steps, and enough for NumPy and ONNX Runtime."""

import numpy as np
import pytest
import torch
from small_graphs import chain, conv, lif, threshold
from small_graphs import graph as graph_of

import export
import hardware
from hardware import Encoding, InputError, encoding_of
from hardware.targets.onnx import to_onnx, write_onnx
from qkformer import load_checkpoint, load_digits


@pytest.fixture(scope="module")
def digits():
    """The fixed model, its graph, and images."""
    model, _ = load_checkpoint("qkformer-digits")
    images = load_digits("test")[0][:5]
    fixed = export.quantize(model, images)
    return fixed, export.to_nir(fixed), images


def session(path_or_bytes):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path_or_bytes, options, providers=["CPUExecutionProvider"])


def test_it_is_standard_and_small(digits, tmp_path):
    import onnx

    _, graph, _ = digits
    write_onnx(graph, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    domains = {node.domain for node in model.graph.node}
    assert domains == {""}
    weights = sum(t.size for t in map(onnx.numpy_helper.to_array, model.graph.initializer) if t.dtype == np.int8)
    assert weights > 200_000
    assert (tmp_path / "model.onnx").stat().st_size < 1.5 * weights + 200_000


def test_ten_lines_with_onnxruntime_and_numpy_alone(digits, tmp_path):
    fixed, graph, images = digits
    path = tmp_path / "model.onnx"
    write_onnx(graph, path, populations=False)
    x = images.numpy()

    import onnxruntime

    network = onnxruntime.InferenceSession(path)
    about = network.get_modelmeta().custom_metadata_map
    encoded = np.clip(np.rint(x / float(about["input_scale"])), -127, 127).astype(np.int8)
    inputs = np.repeat(encoded[None], int(about["time_steps"]), axis=0)
    logits, within_limits = network.run(["logits", "within_limits"], {"input": inputs})
    assert within_limits
    classes = logits.argmax(1)

    with torch.no_grad():
        wanted = fixed(images).numpy()
    assert np.array_equal(classes, wanted.argmax(1))
    assert np.array_equal(logits, encoding_of(graph).logits(hardware.interpret(graph, fixed.encode(images))["output"]))


def test_batch_and_time_steps_are_free(digits):
    fixed, graph, images = digits
    encoded = fixed.encode(images)
    network = session(to_onnx(graph).SerializeToString())
    names = [output.name for output in network.get_outputs()]
    for steps, samples in ((1, 1), (4, 5), (2, 3), (11, 1)):
        inputs = np.repeat(encoded[:1, :samples], steps, axis=0)
        found = dict(zip(names, network.run(names, {"input": inputs}), strict=True))
        for name, values in hardware.interpret(graph, inputs).items():
            assert np.array_equal(found[name], values), name
            assert found[name].dtype == (np.int32 if name == "output" else np.uint8)


def test_populations_can_be_left_out(digits):
    _, graph, _ = digits
    assert [o.name for o in to_onnx(graph, populations=False).graph.output] == ["output", "logits", "within_limits"]


def test_what_bounds_exclude_is_not_checked():
    layers = threshold((1, 2, 2)), conv([[[[5]]]], size=(2, 2)), lif((1, 2, 2), threshold=9)
    assert [o.name for o in to_onnx(chain((1, 2, 2), *layers)).graph.output] == ["node0", "node2", "output"]


@pytest.mark.parametrize(
    ("bounds", "kind"), [((-128, 127), 3), ((0, 1), 3), ((0, 255), 2), ((-500, 10), 6)]
)  # int8, uint8, int32
def test_type_of_the_input_follows_its_bounds(bounds, kind):
    network = chain((1, 2, 2), conv([[[[5]]]], size=(2, 2)), lif((1, 2, 2), threshold=9))
    model = to_onnx(network, inputs=bounds)
    assert model.graph.input[0].type.tensor_type.elem_type == kind
    dtype = {2: np.uint8, 3: np.int8, 6: np.int32}[kind]
    inputs = np.random.default_rng(0).integers(bounds[0], bounds[1] + 1, (3, 2, 1, 2, 2))
    found = session(model.SerializeToString()).run(["node1"], {"input": inputs.astype(dtype)})[0]
    assert np.array_equal(found, hardware.interpret(network, inputs)["node1"])


def test_names_of_nodes_that_look_like_the_models_own():
    nodes = {"logits": threshold((2,)), "constant_1": threshold((2,)), "within_limits": lif((2,), threshold=131071)}
    network = graph_of((2,), nodes, [" -> ".join(["input", *nodes, "output"])])
    network.edges.append(("input", "within_limits"))
    network.metadata = Encoding("two", (2, 1, 1), time_steps=4).to_metadata()
    model = to_onnx(network, inputs=(-1e6, 1e6))
    assert [output.name for output in model.graph.output] == [*nodes, "output", "logits_", "within_limits_"]
    inputs = np.random.default_rng(0).integers(-3, 4, (4, 2, 2), np.int32)
    found = session(model.SerializeToString()).run([*nodes], {"input": inputs})
    wanted = hardware.interpret(network, inputs)
    assert all(np.array_equal(values, wanted[name]) for name, values in zip(nodes, found, strict=True))
    assert hardware.compare(wanted, hardware.targets()["onnx"].run(network, inputs)).mismatches == 0


def test_bounds_without_zero(refuses):
    with refuses(InputError, "1 .. 5", "exclude 0"):
        to_onnx(chain((1,), threshold((1,))), inputs=(1, 5))
