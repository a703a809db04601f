"""Time and memory of the ladder without Lava over qkformer-cifar10 with golden weights.

python benchmarks/verify_ladder.py [IMAGES]
"""

import resource
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import export

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from published import golden_inputs, golden_model


@contextmanager
def clock(stage):
    start = time.perf_counter()
    yield None
    print(f"{stage:<32}{time.perf_counter() - start:7.1f} s")


def main(count):
    model = golden_model("qkformer-cifar10")
    images = golden_inputs(model.config, count)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        fixed = export.quantize(model, images)
        report = export.run_ladder(model, fixed, images, folder, targets=["interpreter"], watch=clock).report
    seconds, memory = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{count} images: {report.mismatches} of {report.compared:,} spikes differ, {len(report.findings)} errors")
    print(f"{seconds:.1f} s in all, {time.process_time():.1f} s of processor time, {memory:.2f} GB at most")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
