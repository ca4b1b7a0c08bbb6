"""The report as a reader has it: opened in Chromium, without a network, wide and narrow, light and dark."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver.common.by import By

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
    """The report of the tiny run, as the command writes it."""
    folder = tmp_path_factory.mktemp("report")
    app([str(trained), "--report", str(folder)], standalone_mode=False)
    return folder / "index.html"


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
    assert len(plots) >= 10
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


def test_tables_and_sections_hold_what_was_judged(opened: Callable[..., Browser], trained: Path) -> None:
    browser = opened()
    assert browser.find_element(By.TAG_NAME, "h1").text == trained.name
    facts = browser.find_element(By.CSS_SELECTOR, "dl.facts").text
    assert "3 blocks, one every 1; the centre crop of each" in facts
    views = [row.find_element(By.TAG_NAME, "th").text for row in _all(browser, "#merit-table tr.merit")]
    assert [view for view in views if "ensemble" not in view] == ["rgb", "pose"] * 2  # untrained, and the run
    assert views.count("ensemble") == 2
    methods = [row.text for row in _all(browser, "#merit-table tr.group")]
    assert methods == ["random", "cocon"]
    columns = [column.text for column in _all(browser, "#merit-table thead th")]
    assert {"method, view", "probe top-1", "R@1", "R@20", "ordered probe top-1", "ordered R@1"} <= set(columns)
    for column in range(2, len(columns) + 1):
        assert _all(browser, f"#merit-table td.best:nth-child({column})"), columns[column - 1]
    classes = [row.text for row in _all(browser, "#class-table tbody th")]
    assert len(classes) == len(_all(browser, "ul.legend li")) == 6
    assert [title.text for title in _all(browser, "figure.map h3")] == ["rgb", "rgb + pose"]
    strips = _all(browser, ".strip")
    assert len(strips) == 6
    for strip in strips:
        assert len(strip.find_elements(By.CSS_SELECTOR, "figure.tile")) == 6
        right = strip.find_elements(By.CSS_SELECTOR, ".right b")
        assert all(mark.text.startswith("✓") for mark in right)
        assert f"{len(right)} of 5 right" in strip.text
    curves = [title.text for title in _all(browser, "figure.curve h3")]
    assert {"Total loss", "L_cpc per view", "L_sim per pair of views", "Learning rate"} <= set(curves)


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_sticks_out_of_the_window(opened: Callable[..., Browser], width: int) -> None:
    browser = opened(width=width)
    assert browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [width, width]
    outside = browser.execute_script(
        "return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll')"
        " && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 80))"
    )
    assert outside == []


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
    assert _all(browser, "#class-table b, figcaption i, h1 u, dd u, dd s") == []
    assert len(_all(browser, ".tile .gray")) == len(_all(browser, ".tile")) == 18
    assert browser.execute_script("return document.documentElement.scrollWidth") == 400
    assert browser.execute_script("return [...document.images].every(image => image.naturalWidth > 0)")
    assert "The run has no metrics.jsonl." in browser.find_element(By.ID, "training").text
    assert browser.get_log("browser") == []


def _all(browser: Browser, selector: str) -> list[Any]:
    return browser.find_elements(By.CSS_SELECTOR, selector)
