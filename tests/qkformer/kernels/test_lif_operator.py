import importlib.util
from itertools import cycle

import pytest
import torch

from qkformer.kernels import KernelError, lif
from qkformer.kernels.lif_operator import lif_backward, lif_forward
from qkformer.kernels.lif_reference import charge, lif_reference, multi_step, spike

if importlib.util.find_spec("triton"):
    from qkformer.kernels.lif_triton import time_step, tl, triton

    @triton.jit
    def addresses(out, T, N, BLOCK: tl.constexpr):
        """Of the last neurons at the last step."""
        at, inside = time_step(T - 1, T, tl.cast(N, tl.int64), N - BLOCK + tl.arange(0, BLOCK), False)
        tl.store(out + tl.arange(0, BLOCK), at, mask=inside)


TOLERANCE = {  # of gradients, relative: one or two units in the last place
    torch.float32: 1e-5,
    torch.bfloat16: 2**-7,
    torch.float16: 2**-9,
}
TAUS = (2.0, 1.0, 1.5, None, 3.0)
THRESHOLDS = (1.0, 0.5, 0.3)
STEPS = (*range(1, 17), 19, 40)
CASES = list(zip(STEPS, cycle(TAUS), cycle(THRESHOLDS), cycle(TOLERANCE), strict=False))


def currents(*shape, dtype=torch.float32, device="cpu", seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator) * 1.5 + 0.3).to(device, dtype)


def both(x, grad, *constants):
    """Spikes and gradients, from the reference and from the kernel."""
    results = []
    for backend in ("torch", "triton"):
        leaf = x.detach().requires_grad_()
        spikes = lif(leaf, *constants, backend=backend)
        results.append((spikes.detach(), *torch.autograd.grad(spikes, leaf, grad)))
    return results


def assert_equal(x, grad, *constants):
    (spikes, expected), (found, gradient) = both(x, grad, *constants)
    assert found.dtype == gradient.dtype == x.dtype
    assert torch.equal(found, spikes)
    torch.testing.assert_close(gradient, expected, rtol=TOLERANCE[x.dtype], atol=1e-6)
    return found, gradient


@pytest.mark.parametrize(("T", "tau", "v_threshold", "dtype"), CASES)
def test_kernel_equals_reference(device, T, tau, v_threshold, dtype):
    x = currents(T, 3, 5, 7, dtype=dtype, device=device)
    spikes, gradient = assert_equal(x, currents(*x.shape, dtype=dtype, device=device, seed=1), tau, v_threshold)
    assert 0 < spikes.mean() < 1
    assert gradient.any()


@pytest.mark.parametrize(("dtype", "tau"), list(zip(TOLERANCE, (1.5, None, 3.0), strict=True)))
def test_several_blocks_of_neurons_and_chunks_of_steps(device, dtype, tau):
    x = currents(18, 2, 13, 43, dtype=dtype, device=device)
    assert_equal(x, currents(*x.shape, dtype=dtype, device=device, seed=1), tau, 0.7, 2.5)


@pytest.mark.parametrize(("tau", "v_threshold"), [(2.0, 1.0), (2.0, 0.5), (None, 1.0)])
def test_membranes_on_the_threshold_fire(device, tau, v_threshold):
    x = currents(8, 500, device=device).mul(4).round().div(4)
    charged = []

    def recording(v, x):
        charged.append(charge(v, x, None if tau is None else 1 / tau))
        return charged[-1]

    multi_step(x, recording, v_threshold)
    assert sum((v == v_threshold).sum() for v in charged) > 50
    assert_equal(x, torch.ones_like(x), tau, v_threshold)


def test_any_strides(device):
    x = currents(6, 4, 5, 6, device=device)
    grad = currents(*x.shape, device=device, seed=1)
    channels_last = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    spikes, gradient = assert_equal(channels_last, grad)
    assert spikes.stride() == gradient.stride() == channels_last.stride()
    for y in (x.transpose(0, 1), x.transpose(2, 3), x[::2], x[:, 1:3], x[:, :1].expand_as(x), x.flip(0).mT):
        assert not y.is_contiguous()
        assert_equal(y, currents(*y.shape, device=device, seed=1))
        assert_equal(y, torch.ones(1, device=device).expand_as(y))  # as `spikes.sum()` sends it


@pytest.mark.parametrize("shape", [(4, 0), (1, 2, 0, 3), (20, 0, 5), (5,), (1,), (3, 1)])
def test_empty_and_single_populations(device, shape):
    assert_equal(currents(*shape, device=device), torch.ones(shape, device=device))


@pytest.mark.parametrize(
    ("shape", "options", "parts"),
    [
        ((), {}, ("[T, ...] with T >= 1", "[]")),
        ((0, 3), {}, ("[T, ...] with T >= 1", "[0, 3]")),
        ((4, 3), {"tau": 0.5}, ("tau is 0.5", "at least 1 time step")),
        ((4, 3), {"tau": float("nan")}, ("tau is nan",)),
        ((4, 3), {"backend": "cuda"}, ("'cuda'", "auto, torch, triton")),
    ],
)
def test_wrong_inputs_are_refused(refuses, shape, options, parts):
    with refuses(KernelError, *parts):
        lif(torch.zeros(shape), **options)


def smooth(x, tau, v_threshold, alpha):
    """The reference with a sigmoid in place of the step: its gradient is the surrogate's, if no membrane resets."""
    gain = None if tau is None else 1 / tau
    return multi_step(x, lambda v, x: charge(v, x, gain), v_threshold, lambda x: torch.sigmoid(alpha * x))


SMOOTH = [(2.0, 1.0, 4.0), (1.5, 0.5, 2.0), (None, 1.0, 4.0), (1.0, 1.0, 4.0)]


@pytest.mark.parametrize("constants", SMOOTH)
def test_gradient_of_the_smooth_surrogate_is_that_of_finite_differences(constants):
    x = currents(5, 6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: smooth(x, *constants), x)
    spikes = lif_reference(x, *constants)
    assert spikes.sum() > 0
    grad = currents(*x.shape, dtype=torch.float64, seed=1)
    (expected,) = torch.autograd.grad(smooth(x, *constants), x, grad)
    (found,) = torch.autograd.grad(spikes, x, grad)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("constants", SMOOTH)
@pytest.mark.parametrize("T", [5, 21])
def test_kernel_computes_the_gradient_of_the_smooth_surrogate(device, T, constants):
    x = currents(T, 60, device=device)
    grad = currents(*x.shape, device=device, seed=1)
    found = lif_backward(grad, x, *constants)
    leaf = x.double().requires_grad_()
    (expected,) = torch.autograd.grad(smooth(leaf, *constants), leaf, grad.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_operators_are_ordinary(device):
    x = currents(3, 2, 3, device=device)
    torch.library.opcheck(lif_forward, (x.requires_grad_(), 2.0, 1.0, 4.0))
    gradient = (torch.ones_like(x), x.detach(), None, 1.0, 4.0)
    torch.library.opcheck(lif_backward, gradient, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("compiler", ["eager", "aot_eager"])
def test_torch_compile_sees_one_graph(device, compiler):
    x = currents(4, 2, 3, device=device).requires_grad_()

    def twice(x):
        return lif(2 * lif(x, backend="triton"), 1.5, backend="triton").sum()

    (expected,) = torch.autograd.grad(twice(x), x)
    (found,) = torch.autograd.grad(torch.compile(twice, backend=compiler, fullgraph=True)(x), x)
    assert torch.equal(found, expected)
    assert expected.any()


def test_only_the_currents_are_kept_for_the_backward(device):
    kept = []
    x = currents(20, 2, 3, device=device).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        lif(x, backend="triton")
    assert [tensor.data_ptr() for tensor in kept] == [x.data_ptr()]


def test_addresses_pass_32_bits(device):
    at = torch.zeros(4, dtype=torch.int64, device=device)
    addresses[(1,)](at, 5, 2**30, BLOCK=4)
    assert at.tolist() == [5 * 2**30 - 4 + neuron for neuron in range(4)]


def test_reference_of_halves_adds_up_in_float32():
    x = torch.full((12, 1), 1.01, dtype=torch.bfloat16)
    assert torch.equal(lif_reference(x), lif_reference(x.float()).to(x.dtype))
    # A membrane of bfloat16 would stop short of its limit of 1.0078, below a threshold of 1.003.
    assert lif_reference(x, v_threshold=1.003).sum() > 0


def test_float64_stays_float64():
    x = torch.tensor([[2.0 - 2**-40], [2.0 + 2**-40]], dtype=torch.float64)
    assert lif_reference(x, tau=2.0, v_threshold=1.0).flatten().tolist() == [0.0, 1.0]
    assert lif(x, backend="auto").dtype == torch.float64


def test_the_slope_is_that_of_a_sigmoid():
    x = torch.linspace(-2, 2, 41, dtype=torch.float64, requires_grad=True)
    for alpha in (4.0, 1.5):
        (gradient,) = torch.autograd.grad(spike(x, alpha).sum(), x)
        (expected,) = torch.autograd.grad(torch.sigmoid(alpha * x).sum(), x)
        torch.testing.assert_close(gradient, expected)
