"""Spiking attention: Q-K token attention, Q-K channel attention, spiking self-attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..kernels import channel_attention, resolve_backend, token_attention
from ..kernels.lif_reference import membrane_dtype
from ..kernels.qk_attention_operator import MAX_STEPS
from .config import CHOICES, Config, StageConfig
from .layers import Layered
from .logic import Mask
from .neuron import IF, LIF, Neuron
from .nodes import NodeBuilder, Terms


class Attention(Layered):
    """What all attentions share: they take spikes, and end in a projection.

    One of another kind is a subclass with `mix`, and `emit_mix` to be exported, and an entry in `ATTENTIONS`.

    Under a pre-activation residual the projection's neuron stands at the entrance instead, where it turns the
    currents of the residual stream into spikes.
    """

    attn_lif: Neuron
    proj_lif: Neuron

    def __init__(self, config: Config, stage: StageConfig, inputs: str, batch_leak: bool = False) -> None:
        super().__init__(config)
        self.heads = stage.heads
        self.inputs = inputs
        kind = config.attention_layer
        for name in inputs:
            self.add_layer(name, stage.dim, stage.dim, kind=kind, bias=kind == "linear")
        self.add_neuron("attn_lif", config.attention_threshold)
        neuron = "none" if self.pre_activation else "after"
        self.add_layer("proj", stage.dim, stage.dim, kind=kind, bias=True, neuron=neuron, batch_leak=batch_leak)
        if self.pre_activation:
            self.add_neuron("proj_lif", batch_leak=batch_leak)

    def mix(self, *inputs: Tensor) -> Tensor:
        """The attention proper: spikes q, k (and v) [T, B, C, H, W] -> spikes [T, B, C, H, W]."""
        raise NotImplementedError

    def emit_mix(self, network: NodeBuilder, path: str, *inputs: Terms) -> Terms:
        """What `mix` computes, as nodes; path: that of this module."""
        raise NotImplementedError

    def attend(self, x: Tensor) -> Tensor:
        """All before the projection: spikes or counts [T, B, C, H, W] -> spikes [T, B, C, H, W]."""
        return self.mix(*(self.run(name, x) for name in self.inputs))

    def forward(self, x: Tensor) -> Tensor:
        """Spikes or counts [T, B, C, H, W] -> spikes (pre-activation: currents -> currents) [T, B, C, H, W]."""
        return self.run("proj", self.attend(self.proj_lif(x) if self.pre_activation else x))

    def emit(self, network: NodeBuilder, path: str, x: Terms) -> Terms:
        """What `forward` computes, activation before addition, as nodes; path: that of this module."""
        spikes = [self.emit_layer(network, path, name, x) for name in self.inputs]
        return self.emit_layer(network, path, "proj", self.emit_mix(network, path, *spikes))


def _hooked(module: nn.Module) -> bool:
    """Whether someone waits for this module to be called."""
    return bool(
        module._forward_pre_hooks or module._forward_hooks or module._backward_pre_hooks or module._backward_hooks
    )


class QKAttention(Attention):
    """What the two Q-K attentions share: proj(attn_lif(sum of Q) x K), linear in tokens and in channels.

    Where `in_one_kernel`, neurons, sum and mask are one Triton kernel, and their modules are not called. No spike
    depends on it: the kernel gets the currents that the modules would get.
    """

    q_bn: nn.Module
    q_lif: Neuron
    k_lif: Neuron

    def __init__(self, config: Config, stage: StageConfig) -> None:
        super().__init__(config, stage, "qk")
        self.mask = Mask()

    def pooled_queries(self, q: Tensor) -> Tensor:
        """The sum of query spikes that drives attn_lif, at least in float32: bfloat16 counts to 256 only."""
        raise NotImplementedError

    def mix(self, *inputs: Tensor) -> Tensor:
        """The keys that pass the mask, [T, B, C, H, W]."""
        q, k = inputs
        return self.mask(self.attn_lif(self.pooled_queries(q)).to(k.dtype), k)

    def emit_sum(self, network: NodeBuilder, name: str, q: Terms) -> Terms:
        """What `pooled_queries` computes, as a node."""
        raise NotImplementedError

    def emit_mix(self, network: NodeBuilder, path: str, *inputs: Terms) -> Terms:
        """Sum, neuron and mask."""
        q, k = inputs
        total = self.emit_sum(network, f"{path}.attn_sum", q)
        attention = network.neuron(f"{path}.attn_lif", self.attn_lif, total)
        return network.mask(f"{path}.mask", self.mask, attention, k)

    def mix_currents(self, q: Tensor, k: Tensor, **constants: Any) -> Tensor:
        """`mix` of the spikes that currents q and k [T, B, C, H, W] cause; the constants are those of the kernels."""
        raise NotImplementedError

    def attend(self, x: Tensor) -> Tensor:
        """All before the projection: spikes or counts [T, B, C, H, W] -> spikes [T, B, C, H, W]."""
        if not self.in_one_kernel(x):
            return super().attend(x)
        return self.mix_currents(
            self.current("q", x),
            self.current("k", x),
            tau=self.q_lif.tau,
            v_threshold=self.q_lif.v_threshold,
            attention_threshold=self.attn_lif.v_threshold,
            backend=self.q_lif.backend,
        )

    def in_one_kernel(self, x: Tensor) -> bool:
        """Whether one kernel computes all populations: if it can, and nobody wants to see one of them.

        A kernel shows no population, so hooks such as those of `record_spikes` have each module called. Nor is it
        taken where BatchNorm and neuron are one kernel, which moves as many bytes, and whose currents are rounded
        otherwise than those of the BatchNorm.
        """
        q, attention, k = neurons = (self.q_lif, self.attn_lif, self.k_lif)
        if type(q) not in (LIF, IF) or any(type(neuron) is not type(q) for neuron in neurons):
            return False
        if any(_hooked(module) for module in (*neurons, self.mask)) or any(neuron.batch_leak for neuron in neurons):
            return False
        if not (q.tau == k.tau == attention.tau and q.v_threshold == k.v_threshold):
            return False
        if not (q.backend == k.backend == attention.backend) or x.shape[0] > MAX_STEPS:
            return False
        return resolve_backend(q.backend, x) == "triton" and not q.in_one_kernel(self.q_bn, x)


class TokenAttention(QKAttention):
    """Q-K token attention: which tokens matter, per head. attn_lif emits [T, B, heads, H, W].

    A = LIF(sum over the channels of a head of Q), out = proj(A x K). Q and K: spikes [T, B, C, H, W].
    Source: QKFormer, arXiv:2403.16552; Token_QK_Attention in cifar10/model.py of its code.
    """

    def pooled_queries(self, q: Tensor) -> Tensor:
        """Sum over the channels of each head: [T, B, C, H, W] -> [T, B, heads, H, W]."""
        return q.unflatten(2, (self.heads, -1)).sum(3, dtype=membrane_dtype(q.dtype))

    def emit_sum(self, network: NodeBuilder, name: str, q: Terms) -> Terms:
        """One sum a head."""
        return network.group_sum(name, self.heads, q)

    def mix_currents(self, q: Tensor, k: Tensor, **constants: Any) -> Tensor:
        """`kernels.token_attention`."""
        return token_attention(q, k, self.heads, **constants)


class ChannelAttention(QKAttention):
    """Q-K channel attention: which channels matter. attn_lif emits [T, B, C, 1, 1].

    A = LIF(sum over all tokens of Q), out = proj(A x K). Q and K: spikes [T, B, C, H, W].
    Source: QKFormer, arXiv:2403.16552; its code has no channel attention.
    """

    def pooled_queries(self, q: Tensor) -> Tensor:
        """Sum over the tokens: [T, B, C, H, W] -> [T, B, C, 1, 1]."""
        return q.sum((3, 4), keepdim=True, dtype=membrane_dtype(q.dtype))

    def emit_sum(self, network: NodeBuilder, name: str, q: Terms) -> Terms:
        """One sum a channel, given to every token."""
        return network.token_sum(name, q)

    def mix_currents(self, q: Tensor, k: Tensor, **constants: Any) -> Tensor:
        """`kernels.channel_attention`."""
        return channel_attention(q, k, **constants)


class SelfAttention(Attention):
    """Spiking self-attention: proj(attn_lif(scale * Q K^T V)) without a softmax. attn_lif emits [T, B, C, H, W].

    Q, K, V are spikes, so the product is an integer, and computing K^T V first changes no bit of it.
    Source: Spikformer, arXiv:2209.15425; SSA in imagenet/model.py of its code.
    `batch_leak` lets proj_lif leak between the samples of a batch, as published with QKFormer.
    """

    def __init__(self, config: Config, stage: StageConfig) -> None:
        # Spikformer's code keeps samples apart; only QKFormer's leaks.
        super().__init__(config, stage, "qkv", batch_leak=config.batch_leak and config.family == "qkformer")

    def mix(self, *inputs: Tensor) -> Tensor:
        """The spikes of attn_lif, [T, B, C, H, W]."""
        # [T, B, heads, channels of a head, tokens]
        queries, keys, values = (x.flatten(3).unflatten(2, (self.heads, -1)) for x in inputs)
        mixed = (values @ keys.transpose(-1, -2)) @ queries
        return self.attn_lif(mixed.reshape(inputs[0].shape) * self.config.attention_scale)

    def emit_mix(self, network: NodeBuilder, path: str, *inputs: Terms) -> Terms:
        """Product and neuron."""
        scale = self.config.attention_scale
        product = network.self_attention(f"{path}.attn_product", self.heads, scale, *inputs)
        return network.neuron(f"{path}.attn_lif", self.attn_lif, product)


ATTENTIONS: dict[str, Callable[[Config, StageConfig], Attention]] = {
    "token": TokenAttention,
    "channel": ChannelAttention,
    "self": SelfAttention,
}
CHOICES["attention"] = ATTENTIONS
