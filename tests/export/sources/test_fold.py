"""A module says itself what nodes it becomes: a new attention is exported without a change anywhere else."""

from dataclasses import replace

import pytest
import torch
from published import lively_model, small_config

import export
import hardware
from export import ExportError
from qkformer import create_model, record_spikes
from qkformer.models.attention import ATTENTIONS, QKAttention


class TokenAndChannelAttention(QKAttention):
    """Keys pass where a channel has any query spike, of all queries together: primitives that exist, in a new order."""

    def pooled_queries(self, q):
        return q.sum(2, keepdim=True).sum((3, 4), keepdim=True)

    def emit_sum(self, network, name, q):
        return network.token_sum(name, network.group_sum(f"{name}_of_channels", 1, q))


@pytest.fixture
def config(monkeypatch):
    monkeypatch.setitem(ATTENTIONS, "both", TokenAndChannelAttention)
    return replace(small_config(attention="both", pooling="spike"), attention_threshold=6.5)


def test_a_new_attention_needs_its_own_module_only(config):
    model = lively_model(config)
    images = torch.rand(3, 2, 6, 6, generator=torch.manual_seed(3))
    with torch.no_grad(), record_spikes(model.double()) as wanted:
        model(images.double())
    network = export.fold_model(model)
    with record_spikes(network) as found:
        network(images)
    for name, spikes in wanted.items():
        assert (found[name] == spikes).all(), name
    assert 0 < wanted["stage2.0.ssa.attn_lif"].mean() < 1
    fixed = export.quantize(model.float(), images)
    trace = hardware.interpret(export.to_nir(fixed), fixed.encode(images))
    assert hardware.compare(export.reference_trace(fixed, images), trace).mismatches == 0


def test_names_are_module_paths(digits):
    modules = dict(digits.named_modules())
    made = {"output", "stage1.0.tssa.attn_sum", "stage2.0.cssa.attn_sum"}
    assert {node.name for node in export.fold_model(digits).nodes} - made <= set(modules)


@pytest.mark.parametrize(
    ("changes", "part"),
    [({"residual": "pre-activation", "pooling": "current"}, "pre-activation"), ({"batch_leak": True}, "batch_leak")],
)
def test_models_that_are_not_folded(digits, changes, part, refuses):
    with refuses(ExportError, "qkformer-digits", part):
        export.fold_model(create_model(digits.config, **changes))


def test_another_size_of_images():
    model = lively_model(replace(small_config(pooling="spike"), fixed_size=False))
    images = torch.rand(1, 2, 8, 10, generator=torch.manual_seed(0))
    network = export.fold_model(model, (2, 8, 10))
    with torch.no_grad():
        torch.testing.assert_close(network(images), model.double()(images.double()).float())
