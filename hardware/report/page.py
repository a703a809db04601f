"""A parity report as one HTML page that needs nothing else: no network, no script but its own, readable in print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template

import numpy as np

from ..files import write_atomically
from ..parity.explanation import Explanation, NeuronHistory
from ..parity.results import ParityReport
from .drawing import membranes, raster
from .html_text import as_html

TEMPLATE = Path(__file__).with_name("report.html")
RASTER_POPULATIONS, RASTER_SAMPLES = 6, 8


def write_report(
    path: str | Path,
    report: ParityReport,
    reference: Mapping[str, np.ndarray],
    trace: Mapping[str, np.ndarray],
    *,
    title: str,
    names: tuple[str, str],
    about: Mapping[str, str],
) -> None:
    """Write the page. reference, trace: the two sides that are drawn, population -> [T, B, ...]; names: what they are.

    about: what was run and with what, shown at the end.
    """
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=as_html(title),
        verdict=_verdict(report),
        findings=_findings(report),
        ladder=_ladder(report),
        accuracy=_accuracy(report),
        divergence=_divergence(report.explanation) if report.explanation else "",
        rasters=_rasters(report, reference, trace),
        reference_name=as_html(names[0]),
        trace_name=as_html(names[1]),
        populations=_populations(report),
        flips=_flips(report),
        about=_pairs({**about, **{f"version of {name}": version for name, version in report.versions.items()}}),
    )
    write_atomically(path, lambda temporary: temporary.write_text(page, encoding="utf-8"))


def _verdict(report: ParityReport) -> str:
    if report.findings:
        count = len(report.findings)
        return f'<p class="verdict bad">{count} {"errors" if count > 1 else "error"} found: {_counts(report)}.</p>'
    return f'<p class="verdict good">Equal: {_counts(report)}.</p>'


def _counts(report: ParityReport) -> str:
    return f"{report.mismatches:,} of {report.compared:,} spikes differ"


def _findings(report: ParityReport) -> str:
    items = "".join(
        f"<li><strong>{as_html(f.kind)}</strong> in <code>{as_html(f.layer)}</code>: {as_html(f.text)}</li>"
        for f in report.findings
    )
    return f'<ol class="findings">{items}</ol>' if items else ""


def _ladder(report: ParityReport) -> str:
    if not report.ladder:
        return ""
    cards = [f'<li class="stage"><b>{as_html(report.ladder[0].against)}</b></li>']
    for step in report.ladder:
        if step.exact:
            kind = "bad" if step.mismatches else "good"
            outcome = f"{step.mismatches:,} of {step.compared:,} differ"
        else:
            kind, outcome = "agrees", f"{100 * step.agreement:.3f} % of {step.compared:,} spikes agree"
        cards.append(
            f'<li class="stage {kind}"><b>{as_html(step.stage)}</b><span>{"must equal" if step.exact else "against"} '
            f"{as_html(step.against)}</span><span>{outcome}</span><span>logit error {step.logit_error:.2g}</span>"
            f"<span>same top-1 {100 * step.same_top1:.4g} %</span><span>{step.seconds:.2f} s</span></li>"
        )
    return f'<section><h2>Ladder</h2><ol class="ladder">{"".join(cards)}</ol></section>'


def _accuracy(report: ParityReport) -> str:
    if not report.accuracy:
        return ""
    shares = {name: f"{100 * share:.2f} %" for name, share in report.accuracy.items()}
    return f"<section><h2>Accuracy on these images</h2>{_pairs(shares)}</section>"


def _divergence(explanation: Explanation) -> str:
    first, reference, target = explanation.divergence, explanation.reference, explanation.target
    causes = "".join(
        f"<li><strong>{as_html(cause.kind)}</strong>: {as_html(cause.text)}</li>"
        for cause in explanation.causes or (explanation.cause,)
    )
    history = _table(
        ("time step", *("current", "membrane", "emitted") * 2),
        [(str(step), *_moment(reference, step), *_moment(target, step)) for step in range(len(reference.current))],
        groups=(("", 1), ("reference", 3), (first.target, 3)),
    )
    where = (
        f"<code>{as_html(first.population)}</code>, sample {first.sample}, time step {first.time_step}, neuron "
        f"{list(first.neuron)}: {first.reference} in the reference, {first.value} in {as_html(first.target)}. "
        f"The error is <strong>{explanation.origin}</strong>. {_threshold(explanation)}"
    )
    key = (
        f'<span class="k reference"></span>reference <span class="k target"></span>{as_html(first.target)} '
        "(filled where it fires; membranes as each side's graph gives them)"
    )
    return (
        f"<section><h2>First divergence</h2><p>{where}</p><ul>{causes}</ul>{membranes(explanation)}"
        f'<p class="key">{key}</p>{history}{_arrivals(explanation)}{_origins(explanation)}</section>'
    )


def _threshold(explanation: Explanation) -> str:
    wanted, found = explanation.reference.threshold, explanation.target.threshold
    if wanted is None:
        return ""
    return f"Threshold {wanted:g}." if wanted == found else f"Threshold {wanted:g} in the reference, {found:g} here."


def _moment(side: NeuronHistory, step: int) -> tuple[str, str, str]:
    membrane = f"{side.membrane[step]:g}" if side.membrane else "none"
    return f"{side.current[step]:g}", membrane, str(side.emitted[step])


def _arrivals(explanation: Explanation) -> str:
    if explanation.arrivals is None or explanation.arrived is None:
        return "<p>The inputs meet in a fused operation, where they have no weights of their own.</p>"
    rows = [
        (as_html(a.source), str(list(a.neuron)), str(a.value), f"{a.weight:g}", f"{a.value * a.weight:g}")
        for a in explanation.arrivals
    ]
    shown = (
        f"the {len(rows)} largest of {explanation.arrived:,}" if len(rows) < explanation.arrived else f"all {len(rows)}"
    )
    heading = f"<h3>Inputs that reached it: {shown}, which add up to {explanation.arrived_sum:g}</h3>"
    return heading + _table(("source", "neuron", "value", "weight", "contribution"), rows, texts=2)


def _origins(explanation: Explanation) -> str:
    others = {name: origin for name, origin in explanation.origins.items() if name != explanation.divergence.population}
    if not others:
        return "<p>No other population differs.</p>"
    rows = [(f"<code>{as_html(name)}</code>", origin) for name, origin in others.items()]
    table = _table(("population", "error"), rows, texts=2)
    return f"<details><summary>{len(rows)} later populations differ</summary>{table}</details>"


def _rasters(report: ParityReport, reference: Mapping[str, np.ndarray], trace: Mapping[str, np.ndarray]) -> str:
    drawings = []
    for name in _chosen(report, [name for name in trace if name != "output"]):
        wanted, found = (np.asarray(side[name])[:, :RASTER_SAMPLES] for side in (reference, trace))
        count = int(np.count_nonzero(wanted != found))
        state = f'<b class="bad">{count:,} differ</b>' if count else "equal"
        caption = f"<figcaption><code>{as_html(name)}</code> {state}</figcaption>"
        drawings.append(f"<figure>{caption}{raster(wanted, found, name)}</figure>")
    return "".join(drawings)


def _chosen(report: ParityReport, names: Sequence[str]) -> list[str]:
    """Those that differ first, filled up with a few from the first to the last, in execution order."""
    differing = [p.name for p in report.populations if p.mismatches and p.name in names][: RASTER_POPULATIONS - 2]
    count = min(RASTER_POPULATIONS - len(differing), len(names))
    spread = {names[round(i * (len(names) - 1) / max(1, count - 1))] for i in range(count)}
    return [name for name in names if name in spread or name in differing]


def _populations(report: ParityReport) -> str:
    targets = {name: {p.name: p for p in one.populations} for name, one in report.targets.items()}
    origins = report.explanation.origins if report.explanation else {}
    rows = []
    for population in report.populations:
        rate = "" if population.name == "output" else f"{population.firing_rate:.4f}"
        bar = f'<meter min="0" max="1" value="{rate}"></meter>' if rate else ""
        differs = (one[population.name].mismatches if population.name in one else None for one in targets.values())
        cells = [("–" if d is None else f'<b class="bad">{d:,}</b>' if d else "0") for d in differs]
        neurons, spikes = f"{population.neurons:,}", f"{population.spikes:,}"
        name = f"<code>{as_html(population.name)}</code>"
        rows.append((name, neurons, spikes, rate + bar, *cells, origins.get(population.name, "")))
    head = ("population", "neurons", "spikes", "firing rate", *(f"differ in {name}" for name in targets), "error")
    return _table(head, rows, sortable=True)


def _flips(report: ParityReport) -> str:
    if not report.flips:
        return ""
    ranked = sorted(report.flips, key=lambda layer: -layer.originated / layer.spikes)
    rows = [
        (
            f"<code>{as_html(layer.name)}</code>",
            f"{layer.originated:,}",
            f"{100 * layer.originated / layer.spikes:.3f}",
            f"{layer.flips:,}",
            f"{100 * layer.flips / layer.spikes:.3f}",
            f"{layer.explained:,}",
            f'<b class="bad">{layer.unexplained:,}</b>' if layer.unexplained else "0",
        )
        for layer in ranked
        if layer.flips
    ]
    head = ("population", "originated", "% of spikes", "flips in all", "% of spikes", "within rounding", "beyond")
    return (
        "<section><h2>What quantization costs: float against fixed</h2><p>Layers by the spikes that they turn over "
        "when fed with the float model's own. The first flip of each neuron is within rounding if its margin to "
        "the threshold is smaller than the error that rounding can make there.</p>"
        + _table(head, rows, sortable=True)
        + "</section>"
    )


def _pairs(values: Mapping[str, str]) -> str:
    rows = "".join(
        f"<div><dt>{as_html(name)}</dt><dd>{as_html(str(value))}</dd></div>" for name, value in values.items()
    )
    return f"<dl>{rows}</dl>"


def _table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    texts: int = 1,
    sortable: bool = False,
    groups: Sequence[tuple[str, int]] = (),
) -> str:
    """A table of HTML cells; the first `texts` columns are text, the others numbers."""
    top = "".join(f'<th colspan="{width}">{as_html(name)}</th>' for name, width in groups)
    titles = "".join(f"<th><button>{as_html(t)}</button></th>" if sortable else f"<th>{as_html(t)}</th>" for t in head)
    body = "".join(
        "<tr>"
        + "".join(f"<td{'' if i < texts else ' class=number'}>{cell}</td>" for i, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    kind = ' class="sortable"' if sortable else ""
    header = (f"<tr>{top}</tr>" if top else "") + f"<tr>{titles}</tr>"
    return f'<div class="wide"><table{kind}><thead>{header}</thead><tbody>{body}</tbody></table></div>'
