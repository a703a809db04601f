from itertools import chain

import pytest
import torch
from torch import Tensor

from qkformer.kernels import KernelError, channel_attention, lif, qk_attention_operator, token_attention
from qkformer.kernels.qk_attention_operator import MAX_STEPS
from qkformer.kernels.qk_attention_reference import qk_attention_reference

CONSTANTS = {"tau": 2.0, "v_threshold": 0.8}
OPERATOR_CONSTANTS = (2.0, 0.8, 0.7, 4.0)  # tau, thresholds, alpha
TOKEN, CHANNEL = 3, None  # heads


def attend(q: Tensor, k: Tensor, heads: int | None, **options) -> Tensor:
    summed = q.shape[3] * q.shape[4] if heads is None else q.shape[2] // heads
    typical = max(0.7, 0.2 * summed)  # a membrane that the attention often reaches, and often does not
    options = {"attention_threshold": typical, **CONSTANTS, **options}
    return channel_attention(q, k, **options) if heads is None else token_attention(q, k, heads, **options)


def currents(*shape: int, device: torch.device, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Currents of queries and keys, and the gradient of the spikes."""
    torch.manual_seed(sum(shape))
    q, k, grad = (torch.randn(shape) for _ in range(3))
    return tuple(x.to(device, dtype) for x in (q * 1.5 + 0.6, k * 2 + 0.6, grad))


def spikes_and_gradients(q: Tensor, k: Tensor, grad: Tensor, heads: int | None, **options) -> list[Tensor]:
    q, k = q.detach().requires_grad_(), k.detach().requires_grad_()
    spikes = attend(q, k, heads, **options)
    return [spikes.detach(), *torch.autograd.grad(spikes, (q, k), grad)]


def assert_equal(q: Tensor, k: Tensor, grad: Tensor, heads: int | None, **options) -> Tensor:
    """Spikes exactly, gradients to rounding; returns the spikes."""
    spikes, *gradients = spikes_and_gradients(q, k, grad, heads, backend="triton", **options)
    expected, *expected_gradients = spikes_and_gradients(q, k, grad, heads, backend="torch", **options)
    assert torch.equal(spikes, expected)
    for gradient, reference in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=2e-5, atol=2e-6)
        assert gradient.abs().max() > 1e-3
    return spikes


@pytest.mark.parametrize(
    ("heads", "size"),
    [
        (TOKEN, (2, 6, 3, 5)),
        (TOKEN, (1, 3, 5, 7)),  # more tokens than in a tile
        (TOKEN, (1, 120, 1, 2)),  # more channels than in a tile
        (CHANNEL, (2, 6, 3, 5)),
        (CHANNEL, (1, 5, 15, 10)),
        (CHANNEL, (1, 140, 1, 2)),
    ],
)
def test_odd_sizes(device, heads, size):
    q, k, grad = currents(4, *size, device=device)
    spikes = assert_equal(q, k, grad, heads)
    assert 0 < spikes.sum() < 0.9 * lif(k, 2.0, 0.8).sum()


@pytest.mark.parametrize(
    ("heads", "steps"),
    [
        *((1, steps) for steps in (1, 2, 3, 4, 7, 8, 16)),
        *(pytest.param(1, steps, marks=pytest.mark.long) for steps in (5, 6, *range(9, 16), MAX_STEPS)),
        *((CHANNEL, steps) for steps in (1, 4, 16)),
    ],
)
def test_any_number_of_time_steps(device, heads, steps):
    spikes = assert_equal(*currents(steps, 1, 3, 5, 5, device=device), heads)
    assert 0 < spikes.mean() < 1


@pytest.mark.parametrize("heads", [TOKEN, CHANNEL])
@pytest.mark.parametrize(
    "constants",
    [
        {"tau": None, "attention_threshold": 4.0},
        {"tau": 1.7, "v_threshold": 0.3, "attention_threshold": 2.1},
        {"tau": 1.0, "alpha": 2.0},
        {"v_threshold": -0.1},  # where there is no element there must be no spike either
    ],
)
def test_constants_are_free(device, heads, constants):
    assert_equal(*currents(4, 1, 9, 1, 5, device=device), heads, **constants)


@pytest.mark.parametrize("heads", [pytest.param(2, marks=pytest.mark.long), CHANNEL])
def test_any_strides(device, heads):
    q, k, grad = currents(3, 2, 6, 3, 4, device=device)
    expected = spikes_and_gradients(q, k, grad, heads, backend="triton")

    def channels_last(x):
        return x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)

    def turned(x):
        return x.permute(4, 2, 0, 1, 3).contiguous().permute(2, 3, 1, 4, 0)

    def sliced(x):
        return torch.stack([x, x + 1], dim=-1)[..., 0]

    for layouts in [(channels_last,) * 3, (turned, sliced, channels_last), (channels_last, sliced, turned)]:
        arguments = [layout(x) for layout, x in zip(layouts, (q, k, grad), strict=True)]
        assert not arguments[0].is_contiguous()
        results = spikes_and_gradients(*arguments, heads, backend="triton")
        for result, value in zip(results, expected, strict=True):
            torch.testing.assert_close(result, value, rtol=1e-5, atol=1e-6)
        assert torch.equal(results[0], expected[0])
    assert attend(channels_last(q), k, heads, backend="triton").stride() == channels_last(q).stride()
    one = (q[:, :1, :, :1, :1] + 1).expand(-1, 2, -1, 2, 2)
    assert_equal(one, one, grad[:, :, :, :2, :2], heads)


@pytest.mark.parametrize("heads", [TOKEN, CHANNEL])
@pytest.mark.parametrize("shape", [(4, 0, 6, 2, 2), (4, 2, 6, 0, 2), (1, 1, 3, 1, 1)])
def test_empty_and_single(device, heads, shape):
    q, k, grad = currents(*shape, device=device)
    for backend in ("triton", "torch"):
        results = spikes_and_gradients(q, k, grad, heads, backend=backend)
        assert [result.shape for result in results] == [shape] * 3


@pytest.mark.parametrize("heads", [TOKEN, CHANNEL])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves(device, heads, dtype):
    """All is computed in float32; only what comes out is rounded."""
    q, k, grad = currents(4, 2, 6, 3, 5, dtype=dtype, device=device)
    results = spikes_and_gradients(q, k, grad, heads, backend="triton")
    assert torch.equal(results[0], attend(q, k, heads, backend="torch"))
    exact = spikes_and_gradients(q.float(), k.float(), grad.float(), heads, backend="torch")
    for result, value in zip(results, exact, strict=True):
        assert result.dtype == dtype
        torch.testing.assert_close(result, value.to(dtype))


@pytest.mark.parametrize("backend", ["triton", "torch"])
@pytest.mark.parametrize("heads", [1, CHANNEL])
def test_sums_are_exact_in_halves(device, heads, backend):
    """257 spikes are 256 in bfloat16; the attention must count them all."""
    shape = (1, 1, 1, 1, 257) if heads is None else (1, 1, 257, 1, 1)
    ones = torch.full(shape, 2.0, dtype=torch.bfloat16, device=device)
    constants = {"tau": None, "v_threshold": 1.0, "backend": backend}
    assert attend(ones, ones, heads, attention_threshold=257.0, **constants).min() == 1
    assert attend(ones, ones, heads, attention_threshold=257.5, **constants).max() == 0


def test_a_head_has_its_own_channels_and_a_token_its_own_attention(device):
    q, k = torch.zeros(1, 1, 4, 1, 2, device=device), torch.full((1, 1, 4, 1, 2), 2.0, device=device)
    q[0, 0, 3, 0, 1] = 2.0
    spikes = token_attention(q, k, 2, backend="triton")
    assert spikes.nonzero().tolist() == [[0, 0, 2, 0, 1], [0, 0, 3, 0, 1]]
    spikes = channel_attention(q, k, backend="triton")
    assert spikes.nonzero().tolist() == [[0, 0, 3, 0, 0], [0, 0, 3, 0, 1]]


class SmoothNear:
    """A spike function whose value is a step at some currents, and near them follows the surrogate's sigmoid.

    So finite differences see the surrogate gradient, with the spikes themselves still 0 or 1.
    """

    def __init__(self):
        self.values: list[Tensor] = []

    def note(self, x: Tensor, alpha: float) -> Tensor:
        self.values.append(x.detach())
        return (x >= 0).to(x)

    def spike(self):
        values = iter(self.values)

        def spike(x, alpha):
            there = next(values)
            return (there >= 0).to(x) + torch.sigmoid(alpha * x) - torch.sigmoid(alpha * there)

        return spike


@pytest.mark.parametrize("heads", [TOKEN, CHANNEL])
def test_gradients_are_those_of_the_smooth_surrogate(device, heads):
    q, k, grad = (x.double() for x in currents(3, 1, 6, 1, 2, device=device))
    smooth = SmoothNear()
    qk_attention_reference(q, k, heads, *OPERATOR_CONSTANTS, spike=smooth.note)

    def attention(q, k):
        return qk_attention_reference(q, k, heads, *OPERATOR_CONSTANTS, spike=smooth.spike())

    inputs = q.requires_grad_(), k.requires_grad_()
    assert torch.autograd.gradcheck(attention, inputs)
    expected = torch.autograd.grad(attention(*inputs), inputs, grad)
    for backend, dtype in (("torch", torch.float64), ("triton", torch.float32)):
        arguments = (x.detach().to(dtype) for x in (q, k, grad))
        for gradient, value in zip(
            spikes_and_gradients(*arguments, heads, backend=backend, attention_threshold=0.7)[1:], expected, strict=True
        ):
            torch.testing.assert_close(gradient, value.to(dtype), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("heads", "channels_last"), [(1, False), (CHANNEL, True)])
def test_the_operator_is_an_ordinary_one(device, heads, channels_last):
    q, k, grad = currents(2, 1, 3, 2, 2, device=device)
    if channels_last:
        q = q.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    constants = (heads, *OPERATOR_CONSTANTS)
    torch.library.opcheck(qk_attention_operator.qk_attention, (q.requires_grad_(), k.requires_grad_(), *constants))
    sums = qk_attention_operator.qk_attention(q, k, *constants)[1]
    torch.library.opcheck(qk_attention_operator.qk_attention_backward, (grad, q.detach(), k.detach(), sums, *constants))


@pytest.mark.parametrize("heads", [1, CHANNEL])
def test_torch_compile_sees_one_operation(device, heads):
    q, k, grad = currents(2, 2, 3, 2, 2, device=device)

    def shifted(q, k):
        return attend(q + 0.1, k, heads, backend="triton") * 2

    compiled = torch.compile(shifted, backend="aot_eager", fullgraph=True)
    results = []
    for function in (shifted, compiled):
        inputs = q.clone().requires_grad_(), k.clone().requires_grad_()
        out = function(*inputs)
        results.append((out, *torch.autograd.grad(out, inputs, grad)))
    for eager, traced in zip(*results, strict=True):
        assert torch.equal(eager, traced)


def test_too_many_time_steps_are_for_pytorch(device, refuses, monkeypatch):
    q, k, _ = currents(MAX_STEPS + 1, 1, 3, 1, 1, device=device)
    with refuses(KernelError, "at most 32 time steps", "33", '"torch"'):
        attend(q, k, TOKEN, backend="triton")
    # As `auto` does on a GPU:
    monkeypatch.setattr(qk_attention_operator, "resolve_backend", lambda backend, x: "triton")
    assert torch.equal(attend(q, k, TOKEN, backend="auto"), attend(q, k, TOKEN, backend="torch"))


def test_offsets_within_a_sample_must_fit_32_bits(device, refuses):
    q = torch.zeros(1, device=device).expand(1, 1, 2**16, 2**15, 1)
    with refuses(KernelError, "2147483647 currents", "2147483648", '"torch"'):
        channel_attention(q, q, backend="triton")


def test_wrong_inputs_are_named(device, refuses):
    q, k, _ = currents(2, 1, 6, 2, 2, device=device)
    with refuses(KernelError, "heads", "4", "channels", "6"):
        token_attention(q, k, 4)
    with refuses(KernelError, "shape", "[2, 1, 6, 2, 2]", "[2, 1, 6, 2, 1]"):
        channel_attention(q, k[..., :1])
    with refuses(KernelError, "dtype", "float32", "bfloat16"):
        channel_attention(q, k.bfloat16())
    with refuses(KernelError, "[T, B, C, H, W]", "[2, 1, 6, 4]"):
        channel_attention(q.flatten(3), k.flatten(3))
    with refuses(KernelError, "tau", "0.5"):
        token_attention(q, k, 2, tau=0.5)
    with refuses(KernelError, "float64"):
        token_attention(q.double(), k.double(), 2, backend="triton")
    with refuses(KernelError, "T >= 1", "[0, 1, 6, 2, 2]"):
        token_attention(q[:0], k[:0], 2)


def test_the_tile_fits_what_is_left_and_what_registers_hold(device):
    from qkformer.kernels.qk_attention_triton import COALESCED, CURRENTS, ELEMENTS, WARPS, tile_shape

    for steps, kept, summed, stride in chain.from_iterable(
        [(steps, kept, summed, 1), (steps, kept, summed, kept)]
        for steps in (1, 3, 4, 16, 32)
        for kept in (1, 7, 1024)
        for summed in (1, 12, 3136)
    ):
        tile = tile_shape(steps, kept, stride, summed)
        elements = tile["KEPT"] * tile["SUMMED"]
        assert elements <= 32 * WARPS * ELEMENTS
        assert elements * steps <= 32 * WARPS * max(CURRENTS, steps)
        assert tile["KEPT"] < 2 * kept
        assert tile["SUMMED"] < 2 * summed
        if kept >= COALESCED and stride == 1:
            assert tile["KEPT"] >= COALESCED
