"""Searching by the page: a video that is dropped or picked, a part of it, filters, and what can be done with hits."""

from pathlib import Path

from selenium.webdriver.common.keys import Keys

from tests.client.web.page.conftest import Opener
from tests.client.web.page.opened_page import HITS, OpenedPage
from tests.client.web.server import WebServer

_PLAYING = """
const seen = [...document.querySelectorAll('#view-search .results .player.is-playing')].filter(frame => frame.video);
return seen.map(({video}) => video.muted);
"""
# The number of loops is counted at the hit: time goes forward, and back to where the moment begins.
_TURNS = """
const [done] = [arguments[0]];
const {video, moment} = document.querySelector('#view-search .results .player.is-playing');
let [forward, back, before, end] = [0, 0, video.currentTime, performance.now() + 20000];
const look = () => {
  const now = video.currentTime;
  if (now > before) forward += 1;
  if (now < before) back += 1;
  before = now;
  const told = [forward, back, now, moment.start_seconds, moment.end_seconds];
  if ((forward > 5 && back > 0) || performance.now() > end) done(told);
  else setTimeout(look, 20);
};
look();
"""


def test_a_video_that_is_chosen_finds_moments_that_play_in_place(opened: Opener, clip: Path) -> None:
    page = opened()
    page.choose_file(clip)
    page.one(HITS)
    hits = page.hits()
    assert len(hits) == 6
    assert hits[0] == "v2.mp4", "it looks like that one"
    playing = page.until(f"const all = (() => {{{_PLAYING}}})(); return all.length >= 3 && all")
    assert all(playing), "without a sound"
    page.browser.set_script_timeout(60)
    forward, back, now, start, end = page.browser.execute_async_script(_TURNS)
    assert forward > 5
    assert back > 0, "it begins again where the moment does"
    assert start - 0.3 <= now <= end + 0.3
    assert page.one(".query .name").text == clip.name
    assert page.until("return document.querySelector('.query video')?.currentTime > 0")
    assert [len(page.all(part)) for part in (".query .line-handle", ".query input[type=number]")] == [2, 2]
    assert len(page.all(".score .meter")) == len(page.all(".score .matched")) == 6
    shares = [text for text in page.texts(".classes .number") if text.endswith(" %")]
    assert len(shares) >= 2
    assert page.foreign_requests() == []
    assert page.complaints() == []


def test_a_part_is_chosen_by_numbers_and_by_handles(opened: Opener, shown: WebServer) -> None:
    page = opened()
    page.search_with("v3.mp4")
    page.fill(".line-fields label:nth-of-type(2) input", "1.1")
    page.until("return document.querySelectorAll('.line-fields .link:not([hidden])').length === 1")
    end = page.one(".line-handle.end")
    assert end.get_attribute("aria-valuetext") == "1.1 s"
    page.run("arguments[0].focus()", end)
    page.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_RIGHT)
    assert page.one(".line-handle.end").get_attribute("aria-valuetext") == "1 s"
    page.until("return document.querySelector('.line-fields label:nth-of-type(2) input').value === '1.0'")
    asked = {"query": {"video_id": 4, "start_seconds": 0.0, "end_seconds": 1.0}, "top": 24}
    expected = shown.post("/api/search", asked).json["hits"]
    page.until(
        "const at = [...document.querySelectorAll('.score dd[title]')].map(e => e.textContent);"
        "return JSON.stringify(at) === JSON.stringify(arguments[0])",
        [f"{hit['score']:.2f}" for hit in expected],
    )
    assert page.hits() == [hit["name"] for hit in expected]
    assert max(hit["query_end_seconds"] for hit in expected) < 1.5, "the rest of it was not asked"
    _drag(page, ".line-handle.start", 0.25)
    page.until("return Number(document.querySelector('.line-fields input').value) > 0.3")
    page.click(".line-fields .link")
    page.until("return document.querySelector('.line-fields label:nth-of-type(2) input').value === '2.0'")


def _drag(page: OpenedPage, selector: str, share: float) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    width = page.run("return document.querySelector('.line-track').getBoundingClientRect().width")
    ActionChains(page.browser).drag_and_drop_by_offset(page.one(selector), int(width * share), 0).perform()


def test_filters_are_chips(opened: Opener) -> None:
    page = opened()
    page.search_with("v0.mp4")
    everything = page.hits()
    assert len(everything) == 5
    page.click("#view-search .filters > .row > button")
    page.click("#view-search .filter-panel [data-label=right]")
    page.until("return document.querySelectorAll('#view-search .card[data-video]').length === 3")
    assert set(page.texts("#view-search .card .tag")) == {"right"}
    page.run(
        "arguments[0].value = 'paths'; arguments[0].dispatchEvent(new Event('change'))",
        page.one(".filter-panel select"),
    )
    page.fill("#view-search .filter-panel form input", "**/nothing/*")
    assert page.one("#view-search .state h3").text == "Nothing found"
    assert "filters" in page.one("#view-search .state p").text
    page.go("videos")
    assert page.one("#view-videos .state h3").text == "No such video"
    page.go("search")
    page.click("#view-search .state button")
    page.until("return document.querySelectorAll('#view-search .card[data-video]').length === 5")
    assert page.hits() == everything
    page.fill("#view-search .filter-panel form input", "")
    assert page.all("#view-search .filters .chip.is-on") == [], "nothing is no filter"


def test_hits_ask_on_and_are_laid_beside_the_query(opened: Opener) -> None:
    page = opened()
    page.search_with("v0.mp4")
    first = page.hits()
    page.click("#view-search .card:nth-child(3) [data-liked=no]")
    assert page.one(".examples .chip").get_attribute("aria-label") == f"Forget: less like {first[2]}"
    page.click(".examples .chip")
    page.until("return !document.querySelector('.examples .chip')")
    assert page.hits() == first
    page.click("#view-search .card:nth-child(1) [data-key=a]")
    page.until("return document.querySelector('dialog img')?.naturalWidth > 300")
    page.press(Keys.ESCAPE)
    page.until("return !document.querySelector('dialog')")
    assert page.focused().startswith("Compare with the query"), "what was in hand is so again"
    page.click("#view-search .card:nth-child(2) [data-key=Enter]")
    page.until("return document.querySelector('.query .name').textContent === arguments[0]", first[1])
    page.browser.back()
    page.until("return document.querySelector('.query .name').textContent === 'v0.mp4'")


def test_a_file_that_is_no_video_is_told_in_a_sentence(opened: Opener, tmp_path: Path) -> None:
    bad = tmp_path / "<b>no video.mp4"
    bad.write_bytes(b"no video at all" * 100)
    page = opened()
    page.choose_file(bad)
    assert page.one("#view-search .state h3").text == "This video cannot be searched with"
    told = page.one("#view-search .state p").text
    assert "<b>no video.mp4" in told
    assert told.endswith(".")
    assert page.all("#view-search b") == []
    page.click("#view-search .state .secondary")
    assert page.one(".drop h2").is_displayed()
