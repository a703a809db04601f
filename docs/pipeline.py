"""Draws docs/pipeline.svg: the way from a checkpoint to a report, and the room in which each step is written.

    python docs/pipeline.py

It needs nothing but Python. The drawing brings its own background, and follows the reader's light or dark scheme.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

FILE = Path(__file__).with_suffix(".svg")
WIDTH, HEIGHT = 960, 352
BOX_WIDTH, BOX_HEIGHT, GAP, LEFT = 172, 66, 76, 22
ROWS = (58, 224)  # where the boxes of each row begin
LOWERING, REFERENCE = 180, 202  # heights of the two lines from the first row to the second
FONT = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', sans-serif"

STYLE = """
  .panel { fill: #ffffff; stroke: #d0d7de; }
  .title { fill: #1f2328; font-size: 16px; font-weight: 600; }
  .room { fill: #57606a; font-size: 12.5px; font-family: ui-monospace, 'DejaVu Sans Mono', monospace; }
  .note { fill: #57606a; font-size: 13px; }
  .verb { fill: #1f2328; font-size: 13px; font-style: italic; }
  .line { fill: none; stroke: #57606a; stroke-width: 1.6; }
  .head { fill: #57606a; }
  .dashed { stroke-dasharray: 5 4; }
  .qkformer { fill: #ddf4ff; stroke: #0969da; }
  .export { fill: #fbefff; stroke: #8250df; }
  .hardware { fill: #dafbe1; stroke: #1a7f37; }
  @media (prefers-color-scheme: dark) {
    .panel { fill: #0d1117; stroke: #30363d; }
    .title, .verb { fill: #e6edf3; }
    .room, .note { fill: #a8b1bb; }
    .line { stroke: #a8b1bb; }
    .head { fill: #a8b1bb; }
    .qkformer { fill: #0c2d4d; stroke: #4493f8; }
    .export { fill: #2d1f4d; stroke: #ab7df8; }
    .hardware { fill: #12331d; stroke: #3fb950; }
  }
"""


@dataclass(frozen=True)
class Box:
    """One thing on the way: its package, the room of what makes it, and lines of text below it."""

    title: str
    package: str
    room: str
    notes: tuple[str, ...] = ()


FIRST = (
    Box("checkpoint", "qkformer", "qkformer/checkpoints"),
    Box("float model", "qkformer", "qkformer/models", ("trained in PyTorch",)),
    Box("float network", "export", "export/sources", ("accuracy, agreement:", "measured")),
    Box("fixed network", "export", "export/quantization", ("certificate: no input", "overflows it")),
)
SECOND = (
    Box("NIR graph", "export", "export/lower", ("integers, standard nodes",)),
    Box("targets", "hardware", "hardware/targets", ("interpreter, Lava,", "ONNX Runtime, yours")),
    Box("traces", "hardware", "hardware/trace", ("every neuron,", "every time step")),
    Box("report", "hardware", "hardware/report", ("the first difference", "and its cause")),
)
VERBS = (("load", "fold", "quantize"), ("run", "", "compare"))


def draw() -> str:
    """The drawing as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" font-family="{FONT}">',
        "<title>From a checkpoint to a report: each step, and the room in which it is written</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="head" d="M 0 0 L 10 5 L 0 10 z"/></marker></defs>',
        f'<rect class="panel" x="1" y="1" width="{WIDTH - 2}" height="{HEIGHT - 2}" rx="10"/>',
        *legend(),
    ]
    for top, boxes, verbs in zip(ROWS, (FIRST, SECOND), VERBS, strict=True):
        for column, box in enumerate(boxes):
            parts += draw_box(box, left(column), top)
        for column, verb in enumerate(verbs):
            start, middle = left(column) + BOX_WIDTH, top + BOX_HEIGHT // 2
            parts.append(line(f"M {start + 3} {middle} H {start + GAP - 3}"))
            parts.append(text("verb", start + GAP / 2, middle - 8, verb))
    bottom = ROWS[0] + BOX_HEIGHT
    graph, traces, fixed = left(0) + BOX_WIDTH // 2, left(2) + BOX_WIDTH // 2, left(3)
    parts += [
        line(f"M {fixed + 6} {bottom + 3} V {LOWERING} H {graph} V {ROWS[1] - 4}"),
        text("verb", graph + 28, LOWERING - 7, "lower"),
        line(f"M {fixed + BOX_WIDTH - 6} {bottom + 3} V {REFERENCE} H {traces} V {ROWS[1] - 4}", "line dashed"),
        text("verb", fixed - 26, REFERENCE - 6, "the same spikes, in PyTorch"),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def left(column: int) -> int:
    """Where the boxes of a column begin."""
    return LEFT + column * (BOX_WIDTH + GAP)


def draw_box(box: Box, x: int, y: int) -> list[str]:
    """A box with its title and room, and its notes below."""
    middle = x + BOX_WIDTH / 2
    return [
        f'<rect class="{box.package}" x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"/>',
        text("title", middle, y + 28, box.title),
        text("room", middle, y + 50, box.room),
        *(text("note", middle, y + BOX_HEIGHT + 19 + 17 * row, note) for row, note in enumerate(box.notes)),
    ]


def legend() -> list[str]:
    """Which package each colour is."""
    parts, x = [], LEFT
    for package, meaning in (
        ("qkformer", "qkformer: models, training"),
        ("export", "export: float to graph"),
        ("hardware", "hardware: graph to spikes"),
    ):
        parts.append(f'<rect class="{package}" x="{x}" y="18" width="16" height="16" rx="4"/>')
        parts.append(text("note", x + 24, 31, meaning, anchor="start"))
        x += 60 + 7 * len(meaning)
    return parts


def line(path: str, kind: str = "line") -> str:
    """An arrow along a path."""
    return f'<path class="{kind}" d="{path}" marker-end="url(#tip)"/>'


def text(kind: str, x: float, y: float, words: str, anchor: str = "middle") -> str:
    """Words at a place; nothing if there are none."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>' if words else ""


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf-8")
