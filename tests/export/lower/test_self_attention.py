"""Self-attention in a fixed model: exact against the float neuron, and as many gates as announced."""

import nir
import numpy as np
import pytest
import torch

from export.network.fixed_layers import FixedLIF
from export.network.layers import SelfAttentionProduct
from export.quantization.attention import quantize_attention
from hardware.chip import LOIHI_2
from hardware.graph.gates.self_attention import gate_count, self_attention_graph
from qkformer import LIF


@pytest.mark.parametrize("time_steps", [1, 2, 3, 4, 5, 6])
def test_up_to_six_time_steps_the_integer_neuron_is_the_float_one(time_steps):
    products = torch.randint(0, 20, (time_steps, 3000), generator=torch.manual_seed(time_steps)).double()
    neuron = LIF(tau=2.0, v_threshold=0.5)
    quantized = quantize_attention("product", "lif", neuron, 0.125, largest=20, time_steps=time_steps, chip=LOIHI_2)
    assert quantized.factor == 2 ** min(time_steps - 1, 5)
    assert quantized.neuron.threshold == 8 * quantized.factor - 1
    fixed = FixedLIF(quantized.neuron.decay, quantized.neuron.threshold)(products * quantized.factor)
    assert torch.equal(fixed, neuron(products * 0.125))
    assert 0 < fixed.mean() < 1


def test_the_factor_gives_way_to_the_certificate():
    neuron = LIF(tau=2.0, v_threshold=0.5)
    quantized = quantize_attention("product", "lif", neuron, 0.125, largest=20_000, time_steps=4, chip=LOIHI_2)
    assert quantized.factor == 4
    assert quantized.certificate.certified
    assert quantized.certificate.sum_bound == 80_000


def test_product_is_the_definition():
    query, key, value = (torch.rand(3, 2, 1, 6, 2, 3, generator=torch.manual_seed(1)) < 0.5).float()
    product = SelfAttentionProduct(heads=2, scale=4)(query, key, value)
    wanted = torch.zeros_like(product)
    flat = [x.flatten(3) for x in (query, key, value)]
    for t in range(2):
        for head in range(2):
            q, k, v = (x[t, 0, 3 * head : 3 * head + 3] for x in flat)
            for n in range(6):
                attention = [(q[:, n] * k[:, m]).sum() for m in range(6)]
                mixed = sum(weight * v[:, m] for m, weight in enumerate(attention))
                wanted[t, 0, 3 * head : 3 * head + 3, n // 3, n % 3] = 4 * mixed
    assert torch.equal(product, wanted)


@pytest.mark.parametrize(("shape", "heads"), [((4, 2, 2), 2), ((6, 3, 1), 3), ((2, 1, 1), 1)])
def test_gates_are_as_many_as_announced(shape, heads):
    graph = self_attention_graph(shape, heads, 8)
    gates = [np.prod(node.threshold.shape) for node in graph.nodes.values() if isinstance(node, nir.Threshold)]
    assert sum(gates) == gate_count(shape, heads)
