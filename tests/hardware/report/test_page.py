"""The page: what it says, that it needs nothing else, and that a browser shows all of it, wide, narrow and on paper."""

import copy
import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.image import imread
from small_graphs import branched, whole_numbers

import hardware
from hardware.graph.populations import PopulationGraph
from hardware.parity.divergence import Side, explain
from hardware.parity.explanation import Cause, Explanation, NeuronHistory
from hardware.parity.results import LadderStep, LayerFlips

INPUTS = whole_numbers(0, 4, 3, 1, 2, 2, low=-3, high=8)
WIDTHS = {"desktop": 1280, "phone": 390}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


def make_report(path, fault):
    """A page on the branched graph, with a wrong weight in its first layer or without."""
    right, wrong = branched(), copy.deepcopy(branched())
    if fault:
        wrong.nodes["conv"].weight = wrong.nodes["conv"].weight + 4
    reference, target = (Side(hardware.interpret(g, INPUTS), PopulationGraph(g), INPUTS) for g in (right, wrong))
    one = hardware.compare(reference.trace, target.trace)
    report = hardware.combine({"lava": one}, accuracy={"float": 0.5, "lava": 0.25}, versions={"numpy": "1<2"})
    steps = (
        LadderStep("fixed", "float", False, 1000, 25, 0.125, 0.75, 1.5),
        LadderStep("lava", "fixed", True, one.compared, one.mismatches, 0.0, 1.0, 2.0),
    )
    flips = (LayerFlips("first", 48, 9, 3, 2, 2, 0), LayerFlips("last", 48, 12, 6, 4, 4, 0))
    explanation = None
    if one.first_divergence:
        first = replace(one.first_divergence, target="lava")
        explanation = explain(reference, target, first, [p.name for p in one.populations if p.mismatches])
    report = replace(report, ladder=steps, flips=flips, explanation=explanation)
    hardware.write_report(
        path,
        report,
        reference.trace,
        target.trace,
        title="A & B",
        names=("PyTorch", "Lava"),
        about={"command": "qkformer verify <x>"},
    )
    return report


class Page(HTMLParser):
    """The text of a page, its tags, what it would load, and its tables."""

    def __init__(self, html):
        super().__init__()
        self.words, self.tags, self.links, self.rows, self.open = [], [], [], [], []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "script" in self.open or "style" in self.open:
            return
        self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


@pytest.fixture(params=[False, True], ids=["equal", "different"])
def fault(request):
    return request.param


def test_what_the_page_says(fault, tmp_path):
    report = make_report(tmp_path / "report.html", fault)
    html = (tmp_path / "report.html").read_text()
    page = Page(html)
    assert page.open == []
    assert page.text.startswith("A & B")
    assert f"{report.mismatches:,} of {report.compared:,} spikes differ" in page.text
    assert "97.500 % of 1,000 spikes agree" in page.text
    assert "qkformer verify <x>" in page.text
    assert "1<2" in page.text
    rows = {row[0]: row for row in page.rows if len(row) == 6}
    for population in report.populations:
        row = rows[population.name]
        assert row[1:3] == [f"{population.neurons:,}", f"{population.spikes:,}"]
        assert row[4] == f"{population.mismatches:,}"
    assert ("First divergence" in page.text) is fault
    if fault:
        first = report.first_divergence
        assert f"first , sample {first.sample}, time step {first.time_step}, neuron {list(first.neuron)}" in page.text
        assert "The error is local" in page.text
        assert "weight[0, 0, 0, 0] is 9, 5 in the reference" in page.text
        assert 'class="difference"' in html
    else:
        assert "Equal: 0 of" in page.text
        assert 'class="difference"' not in html


def test_the_page_needs_nothing_else(fault, tmp_path):
    make_report(tmp_path / "report.html", fault)
    html = (tmp_path / "report.html").read_text()
    assert Page(html).links == []
    assert re.findall(r"https?:|//[a-z]|@import|url\(", html) == []


def test_layers_are_ranked_by_the_flips_they_originate(tmp_path):
    make_report(tmp_path / "report.html", False)
    rows = [row for row in Page((tmp_path / "report.html").read_text()).rows if len(row) == 7]
    assert [row[:2] for row in rows[1:]] == [["last", "6"], ["first", "3"]]


def test_a_report_without_a_ladder(tmp_path):
    report = hardware.compare({"a": np.ones((1, 1, 2))}, {"a": np.zeros((1, 1, 2))})
    hardware.write_report(tmp_path / "r.html", report, {}, {}, title="t", names=("", ""), about={})
    assert "1 error found: 2 of 2 spikes differ" in Page((tmp_path / "r.html").read_text()).text


def browse(page, folder, *options):
    """Run headless Chromium on a page; returns what it prints."""
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={folder}/p",
    ]
    done = subprocess.run([*command, *options, page.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


MEASURE = """<script>
const sort = (name) => [...document.querySelectorAll("th button")].find(b => b.textContent === name).click();
const table = document.querySelector("table.sortable").tBodies[0];
const names = () => [...table.rows].map(row => row.cells[0].textContent);
const before = names(); sort("neurons"); sort("neurons"); const after = names();
document.title = JSON.stringify({
  overflow: document.documentElement.scrollWidth - innerWidth, before, after,
  drawings: [...document.querySelectorAll("svg")].map(s => s.getBoundingClientRect().width),
});
</script>"""


HOSTILE = ("</script><script>x", "<img src=x>", "&amp; \" '", "\x1b[2K\x00\n", "\udcff", "[/x]", "${title}", "a" * 300)


def hostile_report(path, populations, values, threshold=3.0):
    """A page whose every name is hostile, and whose first neuron had these membranes."""
    names = [f"{HOSTILE[number % len(HOSTILE)]}{number}" for number in range(populations)]
    sides = [{name: np.full((2, 1, 3), value, np.int8) for name in names} for value in (0, 1)]
    one = hardware.compare(*sides)
    side = NeuronHistory(current=values, membrane=values, threshold=threshold, emitted=(0,) * len(values))
    first = replace(one.first_divergence, target=HOSTILE[0])
    causes = tuple(Cause(text, text) for text in HOSTILE)
    explanation = Explanation(first, "local", causes, side, side, 0, 0.0, (), dict.fromkeys(names, "local"))
    report = hardware.combine({HOSTILE[1]: one}, accuracy={HOSTILE[2]: 0.5}, versions=dict.fromkeys(HOSTILE, "1"))
    report = replace(report, explanation=explanation)
    about = dict(zip(HOSTILE, HOSTILE, strict=True))
    hardware.write_report(path, report, *sides, title=HOSTILE[0], names=HOSTILE[:2], about=about)
    return Page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("populations", "values"),
    [(1, (1.0,)), (8, (0.0, math.nan, 2.0)), (8, (math.inf, -math.inf)), (1, (math.nan,) * 3), (3000, (1.0,))],
)
def test_hostile_names_and_numbers(populations, values, tmp_path):
    page = hostile_report(tmp_path / "report.html", populations, values)
    assert page.open == []
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    for drawn in re.findall(r'(?:points|d|cx|cy|x|y)="([^"]*)"', text):
        assert "nan" not in drawn
        assert "inf" not in drawn
    for name in ("</script><script>x", "<img src=x>", r"\x1b[2K\x00\n", r"\udcff", "${title}")[: 2 + populations]:
        assert name in page.text


@pytest.mark.parametrize("threshold", [9.0, 2.0, 0.0, -5.0, 1e30])
def test_the_label_of_the_threshold_is_in_the_drawing(threshold, tmp_path):
    hostile_report(tmp_path / "report.html", 1, (1.0, 2.0, 3.0), threshold)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    (baseline,) = re.findall(r'y="([^"]*)" text-anchor="end">threshold<', text)
    assert 12 <= float(baseline) <= 210  # its letters are 12 pixels high


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed: apt-get install chromium")
@pytest.mark.parametrize("width", WIDTHS)
def test_in_a_browser(fault, width, tmp_path):
    page = tmp_path / "report.html"
    make_report(page, fault)
    picture = tmp_path / "page.png"
    frame = tmp_path / "frame.html"  # headless windows have a least width; a frame has none
    frame.write_text(
        f'<body style="margin:0"><iframe src="report.html" style="width:{WIDTHS[width]}px;height:2400px;border:0">'
    )
    browse(frame, tmp_path, f"--window-size={WIDTHS['desktop']},2400", f"--screenshot={picture}")
    pixels = imread(picture)[:, : WIDTHS[width], :3]
    assert pixels.shape[1] == WIDTHS[width]
    colours = {tuple(colour) for colour in (255 * pixels[::3, ::3]).astype(int).reshape(-1, 3)}
    assert len(colours) > 20
    red = (pixels[..., 0] > 0.7) & (pixels[..., 1] < 0.25) & (pixels[..., 2] < 0.25)
    assert (red.sum() > 200) is np.bool_(fault)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed: apt-get install chromium")
def test_sorting_and_layout_in_a_browser(fault, tmp_path):
    page = tmp_path / "report.html"
    make_report(page, fault)
    page.write_text(page.read_text().replace("</body>", MEASURE + "</body>"))
    shown = browse(page, tmp_path, "--window-size=500,2000", "--dump-dom")
    found = json.loads(re.search("<title>(.*?)</title>", shown)[1].replace("&quot;", '"'))
    assert found["overflow"] <= 0
    assert sorted(found["before"]) == sorted(found["after"])
    assert found["before"][0] == "first"
    assert min(found["drawings"]) > 100


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed: apt-get install chromium")
def test_on_paper(fault, tmp_path):
    make_report(tmp_path / "report.html", fault)
    browse(tmp_path / "report.html", tmp_path, f"--print-to-pdf={tmp_path / 'page.pdf'}")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
