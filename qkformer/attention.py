"""Spiking attention: Q-K token attention, Q-K channel attention, spiking self-attention."""

from __future__ import annotations

from torch import Tensor

from .config import Config, StageConfig
from .layers import Layered
from .neuron import Population


class QKMask(Population):
    """The product of attention spikes and keys: a key passes where its attention spike is 1 (AND).

    The attention is broadcast, never expanded: nothing of the size of the keys is made besides the result.
    """

    def forward(self, attention: Tensor, keys: Tensor) -> Tensor:
        """Attention [T, B, G, H, W] or [T, B, G, 1, 1] for G groups of channels; keys [T, B, C, H, W]."""
        grouped = keys.unflatten(2, (attention.shape[2], -1))
        return (grouped * attention.unsqueeze(3)).flatten(2, 3)


class Attention(Layered):
    """What all attentions share: they take spikes, and end in a projection.

    Under a pre-activation residual the projection's neuron stands at the entrance instead, where it turns the
    currents of the residual stream into spikes.
    """

    def __init__(self, config: Config, stage: StageConfig, inputs: str, batch_leak: bool = False):
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

    def forward(self, x: Tensor) -> Tensor:
        """Spikes or counts [T, B, C, H, W] -> spikes (pre-activation: currents -> currents) [T, B, C, H, W]."""
        spikes = self.proj_lif(x) if self.pre_activation else x
        return self.run("proj", self.mix(*(self.run(name, spikes) for name in self.inputs)))


class QKAttention(Attention):
    """What the two Q-K attentions share: proj(attn_lif(sum of Q) x K), linear in tokens and in channels."""

    def __init__(self, config: Config, stage: StageConfig):
        super().__init__(config, stage, "qk")
        self.mask = QKMask()

    def pooled_queries(self, q: Tensor) -> Tensor:
        """The sum of query spikes that drives attn_lif."""
        raise NotImplementedError

    def mix(self, q: Tensor, k: Tensor) -> Tensor:
        """The keys that pass the mask, [T, B, C, H, W]."""
        return self.mask(self.attn_lif(self.pooled_queries(q)), k)


class TokenAttention(QKAttention):
    """Q-K token attention: which tokens matter, per head. attn_lif emits [T, B, heads, H, W].

    A = LIF(sum over the channels of a head of Q), out = proj(A x K). Q and K: spikes [T, B, C, H, W].
    Source: QKFormer, arXiv:2403.16552; Token_QK_Attention in cifar10/model.py of its code.
    """

    def pooled_queries(self, q: Tensor) -> Tensor:
        """Sum over the channels of each head: [T, B, C, H, W] -> [T, B, heads, H, W]."""
        return q.unflatten(2, (self.heads, -1)).sum(3)


class ChannelAttention(QKAttention):
    """Q-K channel attention: which channels matter. attn_lif emits [T, B, C, 1, 1].

    A = LIF(sum over all tokens of Q), out = proj(A x K). Q and K: spikes [T, B, C, H, W].
    Source: QKFormer, arXiv:2403.16552; its code has no channel attention.
    """

    def pooled_queries(self, q: Tensor) -> Tensor:
        """Sum over the tokens: [T, B, C, H, W] -> [T, B, C, 1, 1]."""
        return q.sum((3, 4), keepdim=True)


class SelfAttention(Attention):
    """Spiking self-attention: proj(attn_lif(scale * Q K^T V)) without a softmax. attn_lif emits [T, B, C, H, W].

    Q, K, V are spikes, so the product is an integer, and computing K^T V first changes no bit of it.
    Source: Spikformer, arXiv:2209.15425; SSA in imagenet/model.py of its code.
    `batch_leak` lets proj_lif leak between the samples of a batch, as published with QKFormer.
    """

    def __init__(self, config: Config, stage: StageConfig):
        # Spikformer's code keeps samples apart; only QKFormer's leaks.
        super().__init__(config, stage, "qkv", batch_leak=config.batch_leak and config.family == "qkformer")

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The spikes of attn_lif, [T, B, C, H, W]."""
        # [T, B, heads, channels of a head, tokens]
        queries, keys, values = (x.flatten(3).unflatten(2, (self.heads, -1)) for x in (q, k, v))
        mixed = (values @ keys.transpose(-1, -2)) @ queries
        return self.attn_lif(mixed.reshape(q.shape) * self.config.attention_scale)


ATTENTIONS: dict[str, type[Attention]] = {
    "token": TokenAttention,
    "channel": ChannelAttention,
    "self": SelfAttention,
}
