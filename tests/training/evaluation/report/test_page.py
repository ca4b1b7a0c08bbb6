"""The report as a reader has it: opened in Chromium, without a network, wide and narrow, light and dark."""

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from cocon.training.evaluation.cli import app
from cocon.training.evaluation.recognition.compared_runs import ComparedRuns
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.result import evaluate_features
from cocon.training.evaluation.report.page import write_report
from cocon.training.run_folder.files import RunFolder
from cocon.video.store.dataset import VideoEntry
from tests.chromium import Browser, opened_chromium, set_window

_DATA_URI = re.compile(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened_chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the tiny run, as the command writes it; beside it, what `--json` prints."""
    folder = tmp_path_factory.mktemp("report")
    with (folder / "figures.json").open("w") as stream, redirect_stdout(stream):
        app([str(trained), "--report", str(folder), "--json"], standalone_mode=False)
    return folder / "index.html"


@pytest.fixture(scope="module")
def crowded(trained: Path, progress_bar: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of 110 classes with long names, and of several runs in four views, one of a long name."""
    folder = tmp_path_factory.mktemp("crowded")
    shutil.copy(trained / "config.toml", folder)
    rng = np.random.default_rng(0)
    names = [f"putting {'something ' * (1 + index % 4)}down {index:03d}" for index in range(108)]
    labels = np.array([*names, "يضع شيئا على الطاولة", "w" * 120] * 2)
    groups = np.full(len(labels), "one")  # so that nothing is learned, which takes long
    entries = tuple(VideoEntry(f"{index}", folder / f"{index}.mp4", label) for index, label in enumerate(labels))
    squeezed = rng.normal(size=(110, 12))

    def videos() -> VideoFeatures:
        axes = np.eye(110, dtype=np.float32)[np.unique(labels, return_inverse=True)[1]]
        views = {
            view: axes @ squeezed + rng.normal(size=(len(axes), 12)) * 1.2 for view in ("rgb", "flow", "pose", "mask")
        }
        unit = {view: (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for view, x in views.items()}
        return VideoFeatures(unit, labels, groups, entries)

    last = {"train": videos(), "test": videos()}
    result = evaluate_features(last, "cpc")
    row = result.metrics[0]
    every = replace(row, classifier_top1=1.0, classifier_top5=2.0, few_shot={1: 1.0, 5: 2.0, 10: 100.0})
    widest = replace(
        every, ordered_probe_top1=3.0, ordered_recall={1: 4.0, 5: 5.0}, best_moment_recall={1: 6.0, 5: 7.0}
    )
    learned = replace(
        row, view="ensemble_learned", weights={f"probe_{view}": 12.345 for view in last["test"].embeddings}
    )
    own = replace(result, metrics=(widest, *result.metrics[1:], learned))
    other, untrained = (replace(result, method=name) for name in (f"cocon (runs/{'long' * 12}/a)", "random"))
    compared = ComparedRuns(untrained, (other, own), last)
    return write_report(folder, compared, RunFolder.open(folder), folder, progress_bar)


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Callable[..., Browser]]:
    """`opened(page, width=1280, scheme="light")`: the browser with a page in a window of that width."""

    def of(html: Path = page, *, width: int = 1280, scheme: str = "light") -> Browser:
        set_window(browser, width=width, scheme=scheme)
        browser.get(html.as_uri())
        return browser

    yield of
    browser.get("about:blank")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_picture_shows_and_nothing_is_fetched_or_complained_of(
    opened: Callable[..., Browser], scheme: str
) -> None:
    browser = opened(scheme=scheme)
    pictures = browser.execute_script(
        "return [...document.images].map("
        "i => [i.naturalWidth, i.currentSrc, i.parentNode.querySelector('source')?.srcset, i.alt])"
    )
    assert len(pictures) > 15
    assert all(width > 0 and alt for width, _, _, alt in pictures)
    plots = [(shown, dark) for _, shown, dark, _ in pictures if dark]
    assert len(plots) >= 9
    assert all((shown == dark) == (scheme == "dark") for shown, dark in plots)
    fetched = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in fetched if not name.startswith("data:")] == []
    assert browser.get_log("browser") == []


def test_the_page_holds_no_address_but_its_own(page: Path) -> None:
    text = _DATA_URI.sub("data:", page.read_text())
    assert "://" not in text
    links = re.findall(r"""(?:src|srcset|href|action|url)\s*[=(]\s*["']?([^"'\s)>]*)""", text)
    assert {link for link in links if not link.startswith("#")} == {"data:"}
    assert "<script" not in text


def test_bars_are_the_figures_of_the_json(opened: Callable[..., Browser], page: Path) -> None:
    browser = opened(width=1200)
    rows = json.loads(page.with_name("figures.json").read_text())
    shown = {_key(bar): bar for bar in browser.execute_script(_BARS)}
    figures = {figure for figure, _, _ in shown}
    assert {"probe_top1", "R@1"} <= figures
    wanted = {(figure, row["method"], row["view"]): row for row in rows for figure in figures if figure in row}
    assert wanted.keys() == shown.keys()
    assert {method for _, method, _ in shown} >= {"cocon", "random"}
    for (figure, method, view), bar in shown.items():
        row = wanted[figure, method, view]
        assert bar["value"] == f"{row[figure]:.1f}"
        assert bar["fill"] == pytest.approx(row[figure], abs=0.5)
        assert bar["chance"] == pytest.approx(row[f"{figure}_chance"], abs=0.5)
        assert bar["whisker"][1] - bar["whisker"][0] == pytest.approx(2 * 1.96 * row[f"{figure}_se"], abs=1)
        assert bar["whisker"][0] - 0.5 <= row[figure] <= bar["whisker"][1] + 0.5
    own, untrained = (
        {bar["colour"] for (_, method, _), bar in shown.items() if method == name} for name in ("cocon", "random")
    )
    assert len(own) == len(untrained) == 1
    assert own.isdisjoint(untrained)
    swatches = {li.text: _colour(li) for li in _all(browser, "ul.methods li:has(.swatch)")}
    assert {swatches["cocon"]} == own
    assert {swatches["untrained"]} == untrained
    groups = _all(browser, "table.merits tr.group")
    assert all(_colour(group) == swatches[group.text] for group in groups)


def test_tables_and_sections_hold_what_was_judged(opened: Callable[..., Browser], trained: Path, page: Path) -> None:
    browser = opened()
    assert browser.find_element(By.TAG_NAME, "h1").text == trained.name
    facts = browser.find_element(By.CSS_SELECTOR, "dl.facts").text
    assert "3 blocks, one every 1; the centre crop of each" in facts
    sections = [section.get_attribute("id") for section in _all(browser, "main > section")]
    assert sections == ["bars", "merits", "confusion", "classes", "retrieval", "maps", "training"]
    named, found = _all(browser, "table.merits")
    methods = [row.text for row in named.find_elements(By.CSS_SELECTOR, "tr.group")]
    assert (methods[0], methods[-1]) == ("cocon", "untrained")
    views = [row.text for row in named.find_elements(By.CSS_SELECTOR, ".method:first-of-type tr.merit th")]
    assert [view for view in views if "ensemble" not in view] == ["rgb", "pose"]
    assert views.count("ensemble") == 1
    columns = [column.text for table in (named, found) for column in table.find_elements(By.CSS_SELECTOR, "thead th")]
    assert {"method, view", "probe top-1", "R@1", "R@5", "ordered probe top-1", "ordered R@1"} <= set(columns)
    assert {"R@10", "R@20", "R@50"}.isdisjoint(columns)  # six training videos
    assert {"R@10", "R@20", "R@50"} <= json.loads(page.with_name("figures.json").read_text())[0].keys()
    for table in (named, found):
        for column in range(2, len(table.find_elements(By.CSS_SELECTOR, "thead th")) + 1):
            assert table.find_elements(By.CSS_SELECTOR, f"td.best:nth-child({column})"), column
            assert table.find_elements(By.CSS_SELECTOR, f"tr.chance td:nth-child({column})")[0].text != "–"
    assert "6 test videos of 6 classes" in browser.find_element(By.ID, "bars").text
    classes = [row.text for row in _all(browser, "#class-table tbody th")]
    assert len(classes) == len(_all(browser, "ul.legend li")) == 6
    assert [title.text for title in _all(browser, "figure.map h3")] == ["rgb", "rgb + pose"]
    examples = _all(browser, ".example")
    assert len(examples) == 6
    for example in examples:
        tiles = example.find_elements(By.CSS_SELECTOR, "figure.tile img")
        assert len(tiles) == 6
        assert all(
            int(tile.get_attribute("naturalWidth")) == 4 * int(tile.get_attribute("naturalHeight")) for tile in tiles
        )
        right = example.find_elements(By.CSS_SELECTOR, ".right b")
        assert all(mark.text.startswith("✓") for mark in right)
        assert f"{len(right)} of 5 right" in example.text
    curves = [title.text for title in _all(browser, "figure.curve h3")]
    assert {"Total loss", "L_cpc per view", "L_sim per pair of views", "Learning rate"} <= set(curves)


@pytest.mark.parametrize("width", [1200, 800, 390])
@pytest.mark.parametrize("which", ["page", "crowded"])
def test_nothing_is_cut_off(
    opened: Callable[..., Browser], which: str, width: int, request: pytest.FixtureRequest
) -> None:
    browser = opened(request.getfixturevalue(which), width=width)
    assert browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [width, width]
    outside = browser.execute_script(
        "return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, .unseen')"
        " && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 80))"
    )
    assert outside == []
    if width >= 800:  # on a phone, wide tables are moved in a box of their own
        scrolled = browser.execute_script(
            "return [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
            ".map(e => [e.ariaLabel, e.scrollWidth, e.clientWidth])"
        )
        assert scrolled == []
    narrow = browser.execute_script(
        "return [...document.querySelectorAll('figure.bars td.track')].filter(e => e.clientWidth < 90).length"
    )
    assert narrow == 0


def test_many_classes_are_told_by_their_confused_pairs(opened: Callable[..., Browser], crowded: Path) -> None:
    browser = opened(crowded, width=1200)
    assert _all(browser, "#confusion picture") == []
    assert 5 < len(_all(browser, "ol.pairs li")) <= 24
    assert "a matrix of 110 classes cannot be read" in browser.find_element(By.ID, "confusion").text
    assert len(_all(browser, "#class-table tbody tr")) == 110
    marks = _all(browser, "ul.legend li")
    assert len(marks) == len(_all(browser, ".example")) == 8
    assert len({mark.get_attribute("innerHTML").partition("<bdi>")[0] for mark in marks}) == 8
    arabic = next(row for row in _all(browser, "#class-table th bdi") if row.text.startswith("يضع"))
    assert browser.execute_script("return getComputedStyle(arguments[0]).unicodeBidi", arabic) == "isolate"
    assert [cell.text for cell in _all(browser, "#weight-table td.share")] == ["12.35"] * 4
    methods = [row.text for row in _all(browser, "ul.methods li:has(.swatch)")]
    assert methods == ["cpc", f"cocon (runs/{'long' * 12}/a)", "untrained"]


def test_everything_can_be_reached_with_the_keyboard(opened: Callable[..., Browser], page: Path) -> None:
    browser = opened(width=390)
    links, boxes = _all(browser, "nav a"), _all(browser, ".scroll")
    reached = []
    for _ in range(len(links) + len(boxes)):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        reached.append(browser.switch_to.active_element)
    assert reached == [*links, *boxes]
    for link in links:
        assert browser.find_element(By.ID, link.get_attribute("href").partition("#")[2]).tag_name == "section"
    assert all(box.get_attribute("aria-label") for box in boxes)


def test_it_prints_on_paper_without_boxes_that_scroll(opened: Callable[..., Browser], page: Path) -> None:
    browser = opened(width=700)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    try:
        assert not browser.find_element(By.TAG_NAME, "nav").is_displayed()
        overflow = browser.execute_script(
            "return [...document.querySelectorAll('.scroll')].map(e => getComputedStyle(e).overflowX)"
        )
        assert set(overflow) == {"visible"}
        assert browser.execute_script("return document.documentElement.scrollWidth") == 700
        assert base64.b64decode(browser.print_page()).startswith(b"%PDF")
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def test_names_from_strangers_are_text_and_a_video_without_a_picture_is_a_gray_tile(
    opened: Callable[..., Browser], trained: Path, progress_bar: Any, tmp_path: Path
) -> None:
    labels = ["<b>$x_1$ & 'co'</b>", "走る" + "n" * 200, "no text: \udcff"] * 2
    vectors = np.eye(3, dtype=np.float32)[[0, 1, 2] * 2]
    entries = tuple(VideoEntry(f"<i>{i}</i>", tmp_path / f"{i}.mp4", label) for i, label in enumerate(labels))
    videos = VideoFeatures({"rgb": vectors}, np.array(labels), np.array([str(i) for i in range(6)]), entries)
    features = {"train": videos, "test": videos}
    run = tmp_path / "run"  # of which only the configuration is left
    run.mkdir()
    shutil.copy(trained / "config.toml", run)
    html = write_report(
        tmp_path / "new" / "report",
        ComparedRuns(None, (evaluate_features(features, "<u>cocon</u>"),), features),
        RunFolder.open(run),
        tmp_path / "<s>data</s>",
        progress_bar,
    )
    browser = opened(html, width=400)
    shown = [row.text for row in _all(browser, "#class-table tbody th")]
    assert shown == [label.replace("\udcff", r"\xff") for label in sorted(set(labels))]
    assert _all(browser, "#class-table b, #class-table i, figcaption i, bdi u, h1 u, dd u, dd s") == []
    assert len(_all(browser, ".tile .gray")) == len(_all(browser, ".tile")) == 18
    assert browser.execute_script("return document.documentElement.scrollWidth") == 400
    assert browser.execute_script("return [...document.images].every(image => image.naturalWidth > 0)")
    assert "The run has no metrics.jsonl." in browser.find_element(By.ID, "training").text
    assert browser.get_log("browser") == []


# Every bar, with the places of its parts in per cent of its track.
_BARS = """
const colour = e => getComputedStyle(e).backgroundColor;
return [...document.querySelectorAll('figure.bars tr.bar')].map(row => {
  const track = row.querySelector('.track').getBoundingClientRect();
  const at = x => 100 * (x - track.left) / track.width;
  const box = name => row.querySelector(name).getBoundingClientRect();
  return {
    figure: row.closest('figure').dataset.figure, view: row.closest('tbody').dataset.view,
    method: row.querySelector('th').title, value: row.querySelector('.value').firstChild.textContent,
    fill: at(box('.fill').right), whisker: [at(box('.whisker').left), at(box('.whisker').right)],
    chance: at(box('.chance').left + 1), colour: colour(row.querySelector('.fill')),
  };
});
"""


def _key(bar: dict[str, Any]) -> tuple[str, str, str]:
    """Figure, method and view as in JSON."""
    return bar["figure"], {"untrained": "random"}.get(bar["method"], bar["method"]), bar["view"]


def _colour(element: Any) -> str:
    swatch = element.find_element(By.CSS_SELECTOR, ".swatch")
    return str(element.parent.execute_script("return getComputedStyle(arguments[0]).backgroundColor", swatch))


def _all(browser: Browser, selector: str) -> list[Any]:
    return browser.find_elements(By.CSS_SELECTOR, selector)
