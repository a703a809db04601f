"""Small networks that other tools build, run and write: in float as the tool itself, in integers one network."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import export
import hardware
from qkformer import record_spikes

STEPS, SAMPLES = 20, 4


def full(*shape, value):
    return torch.full(shape, float(value))


def random_spikes(*shape):
    return (np.random.default_rng(0).random((STEPS, SAMPLES, *shape)) < 0.4).astype(np.float32)


def between(*neurons, maps=False):
    """The neurons, each after weights; with maps the first is on a convolution, and an average pool follows it."""
    torch.manual_seed(0)
    first, second = neurons
    dense = [nn.Linear(6, 8), first, nn.Linear(8, 4), second]
    conv = [nn.Conv2d(2, 4, 3, padding=1), first, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 4), second]
    layers = conv if maps else dense
    for layer in layers:
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            nn.init.normal_(layer.weight, std=0.6)
    return layers


@pytest.fixture
def snntorch():
    """Writes and runs a network of snnTorch's."""
    snn = pytest.importorskip("snntorch")
    from snntorch import utils
    from snntorch.export_nir import export_to_nir

    def make(first, second, maps=False):
        net = nn.Sequential(*between(first(snn), second(snn), maps=maps))
        inputs = random_spikes(2, 8, 8) if maps else random_spikes(6)
        utils.reset(net)
        own = [net(step) for step in torch.from_numpy(inputs)]
        own = np.stack([(out[0] if isinstance(out, tuple) else out).detach().numpy() for out in own])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of nirtorch, which it calls by an older name
            return export_to_nir(net, torch.from_numpy(inputs[0]), ignore_dims=[0]), inputs, own

    return make


def leaky(shape, beta=0.8, **others):
    options = {"init_hidden": True, "reset_mechanism": "zero"} | others
    return lambda snn: snn.Leaky(beta=full(*shape, value=beta), threshold=full(*shape, value=1), **options)


def synaptic(snn):
    constants = {"alpha": full(8, value=0.6), "beta": full(8, value=0.8), "threshold": full(8, value=1)}
    return snn.Synaptic(**constants, init_hidden=True, reset_mechanism="zero")


def recurrent(kind, **constants):
    def make(snn):
        held = {name: full(8, value=value) for name, value in constants.items()}
        return getattr(snn, kind)(**held, linear_features=8, init_hidden=True, reset_mechanism="zero")

    return make


LAST = leaky((4,), 0.9, output=True)


def outputs(network, inputs):
    with record_spikes(network) as trace:
        network(inputs)
    return trace


def check(graph, inputs, own=None, lava=False, **how):
    """from_nir is the tool's own network, if own is given; and what is quantized is one network wherever it runs."""
    network = export.from_nir(graph, **how)
    if own is not None:
        assert own.any()
        np.testing.assert_array_equal(outputs(network, inputs)["output"], own)
    fixed = export.quantize(network, inputs)
    expected, integers = outputs(fixed, inputs), export.to_nir(fixed)
    encoded = fixed.encode(inputs)
    for found in (
        hardware.interpret(integers, encoded),
        *([hardware.lava.simulate(integers, encoded)] if lava else []),
    ):
        assert list(found) == list(expected)
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[name])


def test_snntorch_dense(snntorch):
    check(*snntorch(leaky((8,)), LAST))


def test_snntorch_maps_and_an_average(snntorch):
    check(*snntorch(leaky((4, 8, 8)), LAST, maps=True))


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(synaptic, marks=pytest.mark.long),
        pytest.param(recurrent("RLeaky", beta=0.8, threshold=1), marks=pytest.mark.long),
        recurrent("RSynaptic", alpha=0.5, beta=0.8, threshold=1),
    ],
    ids=["Synaptic", "RLeaky", "RSynaptic"],
)
def test_snntorch_currents_and_cycles(first, snntorch, lava):
    """Its reset takes the next step's input away with it, which NIR's does not: the spikes are NIR's, not its own."""
    graph, inputs, _ = snntorch(first, LAST)
    check(graph, inputs, lava=True)


@pytest.mark.parametrize("maps", [False, True])
@pytest.mark.parametrize("kind", ["LIF", "LIF, whole input", "IF", "PLIF", "LIF, reset to 0.1"])
def test_spikingjelly(kind, maps):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    from spikingjelly.activation_based import functional
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    make = {
        "LIF": lambda: neuron.LIFNode(tau=2.0, v_threshold=0.5),
        "LIF, whole input": lambda: neuron.LIFNode(tau=2.0, decay_input=False, v_threshold=0.5),
        "IF": lambda: neuron.IFNode(v_threshold=0.7),
        "PLIF": lambda: neuron.ParametricLIFNode(init_tau=3.0, v_threshold=0.3),
        "LIF, reset to 0.1": lambda: neuron.LIFNode(tau=2.0, v_reset=0.1, v_threshold=0.5),
    }[kind]
    net = nn.Sequential(*between(make(), make(), maps=maps)).eval()
    inputs = random_spikes(2, 8, 8) if maps else random_spikes(6)
    with torch.no_grad():
        own = np.stack([net(step).numpy() for step in torch.from_numpy(inputs)])
        functional.reset_net(net)
        graph = export_to_nir(net, torch.from_numpy(inputs[0]))
    check(graph, inputs, own)


def test_spikingjelly_residual():
    """Spikes beside currents, at the second population. Of such a module the other tools write but a part."""
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    from spikingjelly.activation_based import functional
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, _, self.fc2, _ = between(None, None)
            self.fc2 = nn.Linear(8, 8)
            self.lif1, self.lif2 = (neuron.LIFNode(tau=2.0, v_threshold=0.5) for _ in range(2))

        def forward(self, x):
            spikes = self.lif1(self.fc1(x))
            return self.lif2(self.fc2(spikes) + spikes)

    net, inputs = Residual().eval(), random_spikes(6)
    with torch.no_grad():
        own = np.stack([net(step).numpy() for step in torch.from_numpy(inputs)])
        functional.reset_net(net)
        graph = export_to_nir(net, torch.from_numpy(inputs[0]))
    assert ("lif1", "lif2") in graph.edges
    check(graph, inputs, own)


@pytest.mark.parametrize(("dt", "time_step"), [({"dt": 1.0}, 1e-3), ({}, 1e-6)], ids=["dt of 1", "its own dt"])
@pytest.mark.parametrize("kind", ["LIFBox", "IAF", "LIF", "LIFBox and LIBox"])
def test_norse(kind, dt, time_step):
    """It multiplies time constants by its dt, 1e-3 unless told. Its LIF moves v by the current of the step before."""
    norse = pytest.importorskip("norse.torch")
    from norse.torch.utils.export_nir import to_nir

    level = torch.tensor(0.3)
    boxes = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(200.0), v_th=level)
    make = {
        "LIFBox": lambda: norse.LIFBoxCell(boxes, dt=0.001),
        "IAF": lambda: norse.IAFCell(norse.IAFParameters(v_th=level)),
        "LIF": lambda: norse.LIFCell(norse.LIFParameters(v_th=level), dt=0.001),
    }[kind.split()[0]]
    last = norse.LIBoxCell(dt=0.001) if "LIBox" in kind else make()
    net = norse.SequentialState(*between(make(), last))
    inputs, state, own = random_spikes(6), None, []
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Norse's own, of its modules without a state
        for step in torch.from_numpy(inputs):
            out, state = net(step, state)
            own.append(out.numpy())
        graph = to_nir(net, torch.from_numpy(inputs[0]), **dt)
    if "LIBox" in kind:
        shown = export.from_nir(graph, time_step=time_step).run(inputs)
        np.testing.assert_allclose(shown.numpy(), np.stack(own), rtol=1e-4, atol=1e-6)
    check(graph, inputs, np.stack(own) if kind in ("LIFBox", "IAF") else None, time_step=time_step, unit_gain=True)


@pytest.fixture
def sinabs():
    """Writes and runs a network of sinabs', whose neurons fire once a step, and then start anew."""
    pytest.importorskip("sinabs")
    import sinabs.layers as layers
    from sinabs.activation import MembraneReset, SingleSpike
    from sinabs.nir import to_nir

    def make(kind, maps=False, read=False, **constants):
        how = {"batch_size": SAMPLES, "spike_fn": SingleSpike, "reset_fn": MembraneReset(), **constants}
        neurons = [getattr(layers, kind)(**how) for _ in range(2)]
        modules = [layers.SumPool2d(2) if isinstance(m, nn.AvgPool2d) else m for m in between(*neurons, maps=maps)]
        if read:
            modules[-1] = layers.ExpLeakSqueeze(tau_mem=5.0, batch_size=SAMPLES, norm_input=False)
        net = nn.Sequential(*modules)
        inputs = random_spikes(2, 8, 8) if maps else random_spikes(6)
        rows = torch.from_numpy(inputs.swapaxes(0, 1).copy()).flatten(0, 1)  # sinabs has samples first
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of nirtorch, which it calls by an older name
            own = net(rows).unflatten(0, (SAMPLES, STEPS)).swapaxes(0, 1).numpy()
            return to_nir(net, rows), inputs, own

    return make


@pytest.mark.parametrize("maps", [False, True])
def test_sinabs_integrators(sinabs, maps):
    check(*sinabs("IAFSqueeze", maps), time_step=1.0, unit_gain=True)


@pytest.mark.parametrize("maps", [False, True])
def test_sinabs_leaks_by_exp_and_not_by_eulers_rule(sinabs, maps):
    """exp(-1 / tau) of a membrane is left, where NIR's equation by Euler's rule leaves 1 - 1 / tau: other spikes."""
    graph, inputs, _ = sinabs("LIFSqueeze", maps, tau_mem=20.0, norm_input=False)
    check(graph, inputs, time_step=1.0)


def test_a_membrane_that_sinabs_reads(sinabs):
    graph, inputs, _ = sinabs("IAFSqueeze", read=True)
    check(graph, inputs, time_step=1.0, unit_gain=True)
