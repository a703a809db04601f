import json
import re
from pathlib import Path

import numpy as np

import hardware.parity
from hardware.parity.explanation import Cause, Divergence, Explanation, NeuronHistory
from hardware.parity.results import FoldingError, LayerFlips, Leak, ParityReport

FIRST = Divergence("lif", 1, 0, (2,), 1, 0, target="lava")
HISTORY = NeuronHistory((1.0,), (0.5,), 2.0, (0,))


def explanation(*causes):
    return Explanation(FIRST, "local", causes, HISTORY, HISTORY, None, None, None, {"lif": "local"})


def test_report_as_json():
    right = {"first": np.zeros((3, 2, 4)), "second": np.zeros((3, 2, 4))}
    wrong = right | {"first": np.eye(3)[:, :2, None] * [1, 0, 0, 0]}
    found = hardware.compare(right, wrong)
    report = json.loads(json.dumps(hardware.combine({"lava": found}, accuracy={"float": 0.5}).to_dict()))
    assert report["mismatches"] == 2
    assert report["compared"] == 48
    assert report["accuracy"] == {"float": 0.5}
    assert report["populations"][0]["name"] == "first"
    assert report["populations"][0]["mismatches"] == 2
    assert report["first_divergence"]["neuron"] == [0]
    assert report["targets"] == {"lava": {"mismatches": 2, "compared": 48}}


def test_an_explanation_as_json_has_a_cause():
    found = json.loads(json.dumps(explanation().to_dict()))
    assert "divergence" not in found
    assert [cause["kind"] for cause in found["causes"]] == ["unknown"]
    assert found["reference"] == {"current": [1.0], "membrane": [0.5], "threshold": 2.0, "emitted": [0]}


def test_findings_in_the_order_of_the_ladder():
    report = ParityReport(
        (),
        FIRST,
        explanation=explanation(Cause("weight", "two differ")),
        leaks=(Leak("in a batch", FIRST, 3),),
        folding=(FoldingError("conv", 0.1, Cause("folding", "eps")),),
        flips=(LayerFlips("mlp", 9, 2, 2, 2, 2, 0), LayerFlips("qkv", 9, 2, 2, 2, 1, 1)),
    )
    kinds = [(finding.layer, finding.kind) for finding in report.findings]
    assert kinds == [("conv", "folding"), ("lif", "batch leak"), ("qkv", "unexplained flips"), ("lif", "weight")]
    assert [finding.kind for finding in ParityReport((), FIRST).findings] == ["divergence"]
    assert ParityReport((), None).findings == ()


def test_who_computes_imports_the_data_and_not_the_other_way():
    """Each module imports only those before it: no cycle, not even one for types."""
    order = ["explanation", "results", "compare", "invariance", "arrivals", "causes", "divergence"]
    folder = Path(hardware.parity.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} == {*order, "__init__"}
    for place, module in enumerate(order):
        imported = re.findall(r"^\s*from \.(\w+) import", (folder / f"{module}.py").read_text(), re.MULTILINE)
        assert set(imported) <= set(order[:place]), module
