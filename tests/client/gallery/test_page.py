"""The gallery as a reader has it: a file opened in Chromium, without a network, wide and narrow, light and dark."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.chromium import Browser, opened_chromium, set_window
from tests.client.conftest import Client, write_video
from tests.video.seed_videos import SEEDS, write_seed

_DATA_URI = re.compile(r"data:(image/jpeg|video/mp4);base64,[A-Za-z0-9+/=]+")
_KINDS = ("h265", "10bit", "transport", "wmv", "rotated")
_STATE = "return [...document.querySelectorAll('video')].map(v => [v.currentTime, v.videoWidth, v.error?.message])"


@pytest.fixture(scope="module")
def page(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two queries and one that is gone, in an index of files that no browser plays."""
    root = tmp_path_factory.mktemp("gallery")
    folder = root / "films"
    for kind in _KINDS:
        (folder / kind).mkdir(parents=True)
        write_seed(folder / kind / f"{kind}.{SEEDS[kind].ending}", SEEDS[kind], height=96, width=128)
    for seed in range(3):
        write_video(folder / "square" / f"{seed}.avi", seed=seed)
    (root / "list").write_text("films/h265/h265.mp4\nfilms/square/1.avi\ngone.mp4\n")
    _run(root, url, "index", "add", folder, "-q")
    _run(root, url, "search", "@list", "--gallery", "hits.html", "--keep-duplicates", returncode=3)
    return root / "hits.html"


def _run(folder: Path, url: str, *arguments: object, returncode: int = 0) -> None:
    command = [sys.executable, "-m", "cocon.client", *map(str, arguments)]
    ended = subprocess.run(
        command, cwd=folder, env=os.environ | {"COCON_URL": url}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == returncode, ended.stderr


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened_chromium() as opened:
        yield opened


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Browser]]:
    """`opened(page, width=1440, scheme="light", motion=True)`: the browser with a page."""

    def of(html: Path, *, width: int = 1440, scheme: str = "light", motion: bool = True) -> Browser:
        set_window(browser, width=width, scheme=scheme, motion=motion)
        for log in ("browser", "performance"):
            browser.get_log(log)
        browser.get(html.as_uri())
        return browser

    yield of
    browser.get("about:blank")


def _asked_for(browser: Browser) -> set[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    return {url for url in sent if not url.startswith("data:")}


def test_moments_of_any_file_play_and_nothing_is_asked_for(page: Path, opened: Callable[..., Browser]) -> None:
    browser = opened(page)
    WebDriverWait(browser, 20).until(lambda b: all(width for _, width, _ in b.execute_script(_STATE)))
    WebDriverWait(browser, 20).until(lambda b: b.execute_script(_STATE)[0][0] > 0.05)
    states = browser.execute_script(_STATE)
    assert len(states) == 2 + 2 * 8
    assert [error for _, _, error in states if error] == []
    assert browser.execute_script("return [...document.images].every(i => i.naturalWidth > 0 && i.alt)")
    assert _asked_for(browser) == {page.as_uri()}
    assert browser.get_log("browser") == []


def test_moments_stand_still_where_that_is_asked_for(page: Path, opened: Callable[..., Browser]) -> None:
    hidden = "return [...document.querySelectorAll('video')].every(v => getComputedStyle(v).display == 'none')"
    browser = opened(page)
    assert not browser.execute_script(hidden)
    browser.find_element(By.ID, "moving").send_keys(" ")
    assert browser.execute_script(hidden)
    assert opened(page, motion=False).execute_script(hidden)


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_text_stands_out(
    width: int, scheme: str, page: Path, opened: Callable[..., Browser]
) -> None:
    browser = opened(page, width=width, scheme=scheme)
    assert browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [width, width]
    outside = browser.execute_script(
        "return [...document.querySelectorAll('body *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 80))"
    )
    assert outside == []
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", paper)[:3]))
    assert brightness < 150 if scheme == "dark" else brightness > 600


def test_the_page_says_what_was_asked_and_found(page: Path, opened: Callable[..., Browser]) -> None:
    browser = opened(page)
    sections = browser.find_elements(By.TAG_NAME, "section")
    assert [section.find_element(By.TAG_NAME, "h2").text for section in sections] == ["h265.mp4", "1.avi", "gone.mp4"]
    links = browser.find_elements(By.CSS_SELECTOR, "nav a")
    assert [link.text for link in links] == ["h265.mp4", "1.avi", "gone.mp4"]
    first = sections[0].find_elements(By.CSS_SELECTOR, ".hit")
    assert [hit.find_element(By.CSS_SELECTOR, ".rank").text for hit in first] == list(map(str, range(1, 9)))
    assert "1.000" in first[0].text
    assert "h265" in first[0].text
    assert re.search(r"like [\d.]+\s–\s[\d.]+\ss of the query", first[0].text)
    assert "does not exist" in sections[2].text


def test_the_page_holds_no_script_and_no_address(page: Path) -> None:
    text = _DATA_URI.sub("data:", page.read_text())
    assert "<script" not in text
    assert "://" not in text
    links = re.findall(r"""(?:src|poster|srcset|href|action|url)\s*[=(]\s*["']?([^"'\s)>]*)""", text)
    assert {link for link in links if not link.startswith("#")} == {"data:"}


class _Texts(HTMLParser):
    """Texts and attributes of a page, and its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.words.extend(value or "" for _, value in attrs)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_names_from_strangers_are_text(client: Client, tmp_path: Path) -> None:
    names = [b"<script>alert(1)<b>'\".mp4", b"line\nbreak \xff.mp4", "مرحبا‮gpj.mp4".encode()]
    folder = tmp_path / "odd"
    for number, name in enumerate(names):
        write_video(folder / os.fsdecode(name), seed=number)
    assert client("index", "add", folder, "-q").returncode == 0
    label = "</h3><img src=x onerror=alert(2)> \"'\n{{ 7*7 }}"
    assert client("index", "set", folder, f"label={label}").returncode == 0
    query = folder / os.fsdecode(names[1])
    assert client("search", query, "--gallery", "hits.html").returncode == 0
    texts = _Texts()
    content = (tmp_path / "hits.html").read_text(encoding="utf-8")
    texts.feed(content)
    assert texts.tags.isdisjoint({"script", "b"})
    assert "x" not in re.findall(r'<img src="([^"]{0,9})', content)
    words = "".join(texts.words)
    assert "<script>alert(1)<b>'\".mp4" in words
    assert r"line\x0abreak \xff.mp4" in words
    assert "\u202e" not in words
    assert "{{ 7*7 }}" in words


def test_what_cannot_be_a_gallery_is_refused(client: Client, tmp_path: Path, videos: list[Path]) -> None:
    assert client("index", "add", *videos[:2], "-q").returncode == 0
    wrong = client("search", videos[0], "--gallery", "hits.txt")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "--gallery 'hits.txt' must end in .html or .htm" in wrong.stderr
    assert client("search", videos[0], "--gallery", "a.html", "--output", "a.html").returncode == 2
    assert client("search", *videos[:2], "--gallery", "a.html", "--picture", "a.png").returncode == 2
    nothing = client("search", videos[0], "--min-score", "0.9999", "--exclude-self", "--gallery", "none.html")
    assert nothing.returncode == 0
    assert "Nothing was found" in (tmp_path / "none.html").read_text()


def test_several_examples_and_vectors_are_shown_too(client: Client, tmp_path: Path, videos: list[Path]) -> None:
    assert client("index", "add", *videos, "-q").returncode == 0
    asked = ("search", "--like", videos[0], videos[1], "--unlike", videos[2], "--gallery", "like.html")
    assert client(*asked).returncode == 0
    like = _DATA_URI.sub("", (tmp_path / "like.html").read_text())
    assert like.count('class="example') == 3
    assert like.count("unwanted") > 1
    assert "not like" in like
    assert client("embed", videos[0], "--output", "rows.npz").returncode == 0
    np.save(tmp_path / "one.npy", np.load(tmp_path / "rows.npz")["embedding"][0])
    assert client("search", "rows.npz", "one.npy", "--top", "1", "--gallery", "vectors.html").returncode == 0
    vectors = (tmp_path / "vectors.html").read_text()
    assert vectors.count("<video") == 3, "what embed wrote says of which video it is"
    assert vectors.count("vectors, which have no picture") == 1
