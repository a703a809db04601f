"""The kernels as an H100 would run them: compiled for it, which takes no GPU."""

import importlib.util
import re

import pytest
from sm90 import compiled

pytestmark = pytest.mark.long  # the compiler runs for every kernel

CALLS = {
    "lif_triton": """
single, half = torch.float32, torch.bfloat16
for T, dtype in ((4, single), (16, single), (4, half), (16, half), (19, single)):
    x = torch.empty(T, 4096, dtype=dtype)
    forward(x, 2.0, 1.0)
    backward(x, x, 2.0, 1.0, 4.0)
""",
    "batchnorm_lif_triton": """
channels = torch.empty(64)
for T, dtype in ((4, torch.float32), (16, torch.bfloat16)):
    forward(torch.empty(T, 2, 64, 8, 8, dtype=dtype), channels, channels, 2.0, 1.0)
""",
    "qk_attention_triton": """
for T, heads in ((4, 4), (4, None), (16, 4)):
    q = torch.empty(T, 2, 64, 8, 8, dtype=torch.bfloat16)
    spikes, sums = forward(q, q, heads, 2.0, 1.0, 0.5)
    backward(spikes, q, q, sums, heads, 2.0, 1.0, 0.5, 4.0)
""",
}


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    if importlib.util.find_spec("triton") is None:
        pytest.skip('Triton is not installed: uv pip install -e ".[train]"')
    return compiled(CALLS, tmp_path_factory.mktemp("triton"))


def test_every_kernel_is_compiled(kernels):
    assert {kernel["name"] for kernel in kernels} == {
        "lif_triton.forward_kernel",
        "lif_triton.backward_kernel",
        "batchnorm_lif_triton.forward_kernel",
        "qk_attention_triton.forward_kernel",
        "qk_attention_triton.backward_kernel",
    }


def test_nothing_is_spilled_from_registers(kernels):
    assert [kernel for kernel in kernels if kernel["spilled"]] == []


def test_no_product_is_fused_with_a_sum(kernels):
    """Fused, it would be rounded once instead of twice: another spike where the membrane is at its threshold."""
    assert [kernel for kernel in kernels if kernel["fused"]] == []


def test_contiguous_currents_and_spikes_move_in_vectors(kernels):
    for kernel in (kernel for kernel in kernels if "lif_triton" in kernel["name"]):
        for kind in ("ld", "st"):
            assert any(re.fullmatch(rf"{kind}\.global\.v[24]\.b32", access) for access in kernel["accesses"]), kernel
