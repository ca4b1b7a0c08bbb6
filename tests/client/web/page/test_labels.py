"""Labels from the page: one and many, by groups, by suggestions and on the map."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from cocon.client import VideoIndex
from tests.client.web.page.conftest import Opener
from tests.client.web.page.opened_page import HITS, OpenedPage
from tests.client.web.server import WebServer

Serve = Callable[..., WebServer]
MARGIN = 0.92  # of the half window that the map takes


def _labels(index: Path) -> dict[int, str | None]:
    return {video.video_id: video.label for video in VideoIndex(index).videos()}


def test_one_and_many_are_labelled_and_taken_back(opened: Opener, serve: Serve, own_index: Path) -> None:
    page = opened("videos", serve(own_index))
    page.one("#view-videos .card[data-video]")
    for number in (1, 2):
        page.click(f"#view-videos .card:nth-child({number}) .choose")
    page.fill("#selection .label-field", "<i>jump")
    page.until("return document.querySelectorAll('#view-videos .tag:not(.none)').length === 2")
    page.until("return document.querySelector('#selection').hidden")
    assert page.all("#view-videos i") == []
    assert list(_labels(own_index).values()) == ["<i>jump"] * 2 + [None] * 4
    page.run("document.querySelectorAll('#view-videos .card')[4].focus()")
    page.press("1")
    page.until("return document.querySelectorAll('#view-videos .tag:not(.none)').length === 3")
    page.press("0")
    page.until("return document.querySelectorAll('#view-videos .tag:not(.none)').length === 2")
    page.press("1")
    page.until("return document.querySelector('#toasts').textContent.includes('Labelled 1 video')")
    page.click("#toasts .link")
    page.until("return document.querySelectorAll('#view-videos .tag:not(.none)').length === 2")
    assert list(_labels(own_index).values()) == ["<i>jump"] * 2 + [None] * 4


def test_a_moment_is_labelled_without_its_video(opened: Opener, serve: Serve, own_index: Path) -> None:
    page = opened(server=serve(own_index))
    page.search_with("<b>0.mp4")
    page.click("#view-search .results .card .choose")
    page.click("#of-moments")
    page.fill("#selection .label-field", "wave")
    page.until("return document.querySelector('#view-search .results .tag').textContent === 'wave'")
    (video,) = [video for video in VideoIndex(own_index).videos() if video.moments]
    assert (video.label, [moment.label for moment in video.moments]) == (None, ["wave"])
    page.go("videos")
    page.until("return [...document.querySelectorAll('.reason')].some(e => e.textContent === '1 labelled part')")


def test_suggestions_and_groups_lead_to_labels(opened: Opener, serve: Serve, own_index: Path) -> None:
    page = opened("label", serve(own_index))
    page.until("return document.querySelectorAll('#view-label .videos .card[data-video]').length === 6")
    assert "0 of 6 videos labelled" in page.one(".progress-note").text
    assert all(page.texts("#view-label .videos .reason")), "each says why"
    page.fill(".block:nth-of-type(2) form input", "2")
    page.until("return document.querySelectorAll('.group').length === 2")
    sizes = [int(text.split()[0]) for text in page.texts(".group h3 .quiet")]
    assert sum(sizes) == 6
    page.fill(".group:nth-of-type(1) .label-field", "like the first")
    page.until(
        "return document.querySelector('.progress-note').textContent.startsWith(`${arguments[0]} of 6`)", sizes[0]
    )
    page.click(".group:nth-of-type(2) .section-title .link")
    assert page.one("#selection strong").text == f"{sizes[1]} selected"
    page.fill("#selection .label-field", "the others")
    page.until("return document.querySelector('.progress-note').textContent.startsWith('6 of 6')")
    found = list(_labels(own_index).values())
    assert [found.count(name) for name in ("like the first", "the others")] == sizes
    page.click(".block:nth-of-type(1) form button")
    page.until("return document.querySelector('#view-label .state h3')?.textContent === 'Everything is labelled'")


@pytest.fixture(scope="module")
def mapped(unlabelled: Path, url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A server whose index gets its map, and labels, from the tests of the map."""
    root = tmp_path_factory.mktemp("mapped")
    shutil.copytree(unlabelled / "index", root / "index")
    with WebServer(root / "index", url, root) as server:
        yield server


def _open_map(opened: Opener, mapped: WebServer, **window: int) -> OpenedPage:
    page = opened("map", mapped, **window)
    page.one(".map-stage canvas, .map-message .primary")
    if page.all(".map-message .primary"):
        assert page.one(".map-message h3").text == "There is no map yet"
        page.click(".map-message .primary")
    page.one(".map-stage canvas")
    return page


def test_the_map_plays_a_point_and_lists_what_a_line_holds(opened: Opener, mapped: WebServer) -> None:
    page = _open_map(opened, mapped, height=800)
    places, videos, clips = _places(page)
    assert len(places) == 30
    _move(page, *places[7]).click().perform()
    assert page.one(".map-detail .card").get_attribute("data-video") == str(videos[7])
    moment = page.server.get(f"/api/moments?video_id={videos[7]}&clip={clips[7]}").json["moment"]
    played = page.until(
        "const frame = document.querySelector('.map-detail .player.is-playing'), at = frame?.video?.currentTime;"
        "return at > frame?.moment.start_seconds && [at, frame.moment.start_seconds, frame.moment.end_seconds]"
    )
    assert played[1:] == [moment["start_seconds"], moment["end_seconds"]]
    assert played[0] < moment["end_seconds"] + 0.3
    page.click("[data-key=l]")
    middle = np.sort(places[:, 0])[14:16].mean()
    corners = np.array([(2.0, 60.0), (middle, 60.0), (middle, 700.0), (2.0, 700.0)])
    actions = _move(page, *corners[0]).click_and_hold()
    for dx, dy in np.diff(np.rint(corners), axis=0):
        actions = actions.move_by_offset(int(dx), int(dy))
    actions.release().perform()
    inside = set(videos[places[:, 0] < np.rint(middle)].tolist())
    assert {int(str(card.get_attribute("data-video"))) for card in _cards(page)} == inside
    page.click(".map-detail .link")
    assert page.one("#selection strong").text == f"{len(inside)} selected"
    page.fill(".map-detail .label-field", "left")
    page.until("return document.querySelectorAll('.legend-item').length === arguments[0]", 1 if len(inside) == 6 else 2)
    assert {video for video, label in _labels(mapped.index).items() if label == "left"} == inside


def test_the_map_goes_by_keys(opened: Opener, mapped: WebServer) -> None:
    page = _open_map(opened, mapped, width=390, height=844)
    page.run("arguments[0].focus()", page.one(".map-stage canvas"))
    page.press("+", Keys.ARROW_LEFT, "-", "0", Keys.ENTER)
    page.one(".map-detail .card[data-video]")
    page.click("[data-by=cluster]")
    page.run("document.querySelector('.legend-item').focus()")
    page.press(Keys.ENTER)
    title = page.one(".map-detail h3").text
    assert title.startswith("Group 1")
    assert len(_cards(page)) == int(title.split()[-2])
    page.run("document.querySelector('.map-detail .card').focus()")
    page.press(Keys.ENTER)
    page.one(HITS)


def _cards(page: OpenedPage) -> list[object]:
    page.one(".map-detail .label-field")
    return list(page.all(".map-detail .card[data-video]"))


def _places(page: OpenedPage) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the points are on the canvas, in CSS pixels, and which video and clip each is."""
    content = page.server.get("/api/map/points").body
    count = len(content) // 20
    x, y = np.frombuffer(content, "<f4", 2 * count).reshape(2, count).astype(float)
    videos, clips = np.frombuffer(content, "<i4", 2 * count, 8 * count).reshape(2, count)
    width, height = page.run("const c = document.querySelector('canvas'); return [c.clientWidth, c.clientHeight]")
    scale = min(width, height) / max(np.ptp(x), np.ptp(y)) * MARGIN
    left = width / 2 + (x - (x.min() + x.max()) / 2) * scale
    top = height / 2 - (y - (y.min() + y.max()) / 2) * scale
    return np.stack([left, top], axis=1), videos, clips


def _move(page: OpenedPage, left: float, top: float) -> ActionChains:
    canvas = page.one("canvas")
    size = canvas.size
    offset = round(left - size["width"] / 2), round(top - size["height"] / 2)
    return ActionChains(page.browser).move_to_element_with_offset(canvas, *offset)
