"""Compiles kernels for an H100 or H200 (sm_90) where there is none: what a launch would compile, and no launch.

    python tests/sm90.py CALLS.json

CALLS.json: for modules of `qkformer.kernels`, Python code to run with the module's names and `torch`, on CPU tensors.
Prints JSON: for each kernel launched its name, its registers, the bytes a thread spills to memory, and how it reads and
writes. Triton's interpreter must be off.
"""

import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def compiled(calls: dict[str, str], folder: Path) -> list[dict]:
    """The kernels that some calls launch, compiled in a process of their own: this one may run the interpreter."""
    path = folder / "calls.json"
    path.write_text(json.dumps(calls))
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(folder)
    done = subprocess.run(
        [sys.executable, __file__, path], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Target:
    """What Triton asks a driver for before it launches anything."""

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device=None):
        return 0


def describe(name: str, kernel) -> dict:
    """Figures of one compiled kernel. A global access of v4.b32 is of 16 bytes a thread."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        usage = _cuobjdump("-res-usage", file.name)
        code = _cuobjdump("-sass", file.name)
    accesses = re.findall(r"\b(?:ld|st)\.global\S*", kernel.asm["ptx"])
    return {
        "name": name,
        "registers": int(re.search(r"REG:(\d+)", usage)[1]),
        "spilled": int(re.search(r"STACK:(\d+)", usage)[1]) + int(re.search(r"LOCAL:(\d+)", usage)[1]),
        "accesses": {access: accesses.count(access) for access in sorted(set(accesses))},
        "fused": len(re.findall(r"\bFFMA\b", code)),
        "instructions": len(re.findall(r"^\s+/\*[0-9a-f]{4,}\*/", code, re.MULTILINE)),
    }


def _cuobjdump(option: str, path: str) -> str:
    import triton

    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    return subprocess.run([tool, option, path], capture_output=True, text=True, check=True).stdout


def main(path: str) -> None:
    import torch
    from triton.runtime import driver
    from triton.runtime.jit import JITFunction

    found, run = [], JITFunction.run

    def compile_only(self, *arguments, grid, warmup, **options):
        kernel = run(self, *arguments, grid=grid, warmup=True, **options)
        found.append(describe(f"{module}.{self.__name__}", kernel))

    driver.set_active(Target())
    JITFunction.run = compile_only
    for module, calls in json.loads(Path(path).read_text()).items():
        exec(calls, {"torch": torch, **vars(importlib.import_module(f"qkformer.kernels.{module}"))})
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
