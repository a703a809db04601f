"""Runs in float32 that two CPUs can be held to: spikes that rounding decides are turned over, and no others.

Libraries add in different orders, so the last bits of a sum differ from CPU to CPU. A neuron whose membrane comes that
close to its threshold spikes on one and not on another, and all that follows differs as well. Where it is known what
another CPU's neurons emitted, a run can be steered to the same: whoever needs a spike turned whose membrane was
farther than ROUNDING from the threshold has computed something else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from qkformer.kernels.lif_reference import charge
from qkformer.models.neuron import Neuron

ROUNDING = 2e-6  # of membranes about 1, where float32's last bit is 1.2e-7 and convolutions add thousands of terms

Place = tuple[str, int, int]  # population, time step, sample
Choice = Callable[[Place, Tensor, Tensor], Tensor]  # place, spikes and |v - threshold| of its neurons -> which to turn
Turned = dict[Place, Tensor]  # indices of neurons


@contextmanager
def steered(model: nn.Module, choose: Choice) -> Iterator[Turned]:
    """Turn over the spikes that `choose` names while the context is open; yields which were."""
    turned: Turned = {}

    def steer(name: str, neuron: Neuron, currents: Tensor, spikes: Tensor) -> Tensor:
        steps, samples = spikes.shape[:2]
        membranes = [torch.zeros_like(currents[0, 0])] * samples
        emitted = torch.empty_like(spikes)
        for step in range(steps):
            for sample in range(samples):
                before = membranes[sample - 1 if neuron.batch_leak else sample]
                v = charge(before, currents[step, sample], neuron.input_gain)
                found, margins = (v >= neuron.v_threshold).float(), (v - neuron.v_threshold).abs()
                chosen = choose((name, step, sample), found.view(-1), margins.view(-1))
                assert (margins.view(-1)[chosen] < ROUNDING).all(), (name, step, sample)
                if len(chosen):
                    turned[name, step, sample] = chosen
                found.view(-1)[chosen] = 1 - found.view(-1)[chosen]
                emitted[step, sample], membranes[sample] = found, v * (1 - found)
        return emitted

    def hook_for(name: str) -> Callable[[Neuron, tuple[Tensor, ...], Tensor], Tensor]:
        return lambda neuron, inputs, output: steer(name, neuron, inputs[0], output)

    hooks = [m.register_forward_hook(hook_for(name)) for name, m in model.named_modules() if isinstance(m, Neuron)]
    try:
        yield turned
    finally:
        for hook in hooks:
            hook.remove()


def towards(count: Callable[[Place], int]) -> Choice:
    """Turns the spikes nearest to the threshold until each population emits as many as `count` says."""

    def choose(place: Place, spikes: Tensor, margins: Tensor) -> Tensor:
        excess = int(spikes.sum()) - int(count(place))
        candidates = torch.where(spikes == (excess > 0), margins, torch.inf)
        return candidates.topk(abs(excess), largest=False).indices

    return choose


def the_same(turned: Turned) -> Choice:
    """Turns what was turned in another run."""
    nothing = torch.tensor([], dtype=torch.long)
    return lambda place, spikes, margins: turned.get(place, nothing)
