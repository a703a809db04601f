"""BatchNorm over the batches of all processes, so that n processes compute what one would on the whole batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


def synchronize_batchnorm(model: nn.Module, device: torch.device) -> None:
    """Make every BatchNorm of a model share its statistics, in place; names and weights stay.

    On a GPU PyTorch's own does it; it has none for the CPU.
    """
    for name, module in list(model.named_modules()):
        if isinstance(module, _BatchNorm):
            kind = nn.SyncBatchNorm if device.type == "cuda" else SynchronizedBatchNorm
            model.set_submodule(name, _converted(kind, module))


class _SumOverProcesses(torch.autograd.Function):
    """The sum of all processes' tensors; each tensor's gradient is the sum of the gradients of all their results."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


class SynchronizedBatchNorm(_BatchNorm):
    """BatchNorm of [B, C, ...] with mean and variance over the B of all processes.

    y = (x - mean) / sqrt(variance + eps) * weight + bias; the gradient goes through the sums of all processes.
    """

    # Narrower than its parent's, which may keep no statistics.
    momentum: float
    num_batches_tracked: Tensor
    running_mean: Tensor
    running_var: Tensor

    def _check_input_dim(self, x: Tensor) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> [B, C, ...]; in evaluation from the running statistics, without other processes."""
        if not self.training:
            return super().forward(x)
        over = [dim for dim in range(x.ndim) if dim != 1]
        wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        count = wide.new_full((1,), x.numel() // x.shape[1])
        sums = _SumOverProcesses.apply(torch.cat([wide.sum(over), wide.square().sum(over), count]))
        total, squares, count = sums.split([x.shape[1], x.shape[1], 1])
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
            self.running_var.lerp_((variance * count / (count - 1)).to(self.running_var), self.momentum)
        shape = (1, -1, *[1] * (x.ndim - 2))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return ((wide - mean.reshape(shape)) * scale.reshape(shape) + self.bias.reshape(shape)).to(x.dtype)


def _converted(kind: type[_BatchNorm], module: _BatchNorm) -> _BatchNorm:
    new = kind(module.num_features, module.eps, module.momentum)
    new.load_state_dict(module.state_dict())
    return new.train(module.training).to(module.running_mean)
