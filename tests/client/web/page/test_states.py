"""What the page says when there is nothing to show, or something is away."""

import signal
from collections.abc import Callable
from pathlib import Path

from tests.client.conftest import write_video
from tests.client.web.page.conftest import Opener, client
from tests.client.web.page.opened_page import HITS
from tests.client.web.server import WebServer

Serve = Callable[..., WebServer]


def test_an_empty_index_says_how_it_is_filled(opened: Opener, serve: Serve, unlabelled: Path, own_index: Path) -> None:
    client("index", "remove", "--path", "own/**", "--index", str(own_index), folder=unlabelled)
    page = opened(server=serve(own_index))
    for section in ("search", "videos", "map", "label"):
        page.go(section)
        assert page.one(f"#view-{section} .state h3").text == "The index is empty", section
        assert "client index add" in page.one(f"#view-{section} .state code").text
    assert page.foreign_requests() == []


def test_without_a_model_stored_videos_still_ask(opened: Opener, serve: Serve, own_index: Path, clip: Path) -> None:
    server = serve(own_index, "127.0.0.1:9")
    server.wait_ready(ready=False)
    page = opened(server=server)
    assert "No model." in page.one("#banner").text
    page.choose_file(clip)
    assert page.one("#view-search .state h3").text == "The model server is away"
    page.go("videos")
    page.click("#view-videos .card[data-video] [data-key=Enter]")
    page.one(HITS)


def test_a_lost_connection_is_told_and_found_again(opened: Opener, serve: Serve, own_index: Path) -> None:
    server = serve(own_index)
    page = opened("videos", server)
    page.one("#view-videos .card[data-video]")
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": True, **offline})
    page.fill("#view-videos input[type=search]", "b")
    assert page.one("#view-videos .state h3").text == "The server does not answer"
    assert "does not answer" in page.one("#banner").text
    assert page.one("#model").text == "Not connected"
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": False, **offline})
    page.one("#view-videos .card[data-video]")
    assert page.all("#banner") == []
    server.process.send_signal(signal.SIGINT)
    server.process.wait(60)
    page.fill("#view-videos input[type=search]", "4")
    assert page.one("#view-videos .state button").text == "Try again"
    page.click("#banner button")
    assert "Is client web still running?" in page.one("#banner").text
    again = WebServer(own_index, server.url, own_index.parent, ("--port", str(server.port)))
    with again:
        page.until("return document.querySelector('#banner').textContent.includes('Another server')")


def test_what_is_gone_says_so_and_what_browsers_cannot_play_is_shown_as_a_preview(
    opened: Opener, serve: Serve, url: str, tmp_path: Path
) -> None:
    for number, name in enumerate(("<b>gone.mp4", "a.avi")):
        write_video(tmp_path / "videos" / name, seed=number)
    client("index", "add", "videos", "--index", "index", "--url", url, folder=tmp_path)
    (tmp_path / "videos" / "<b>gone.mp4").unlink()
    page = opened("videos", serve(tmp_path / "index"))
    assert "gone" in page.one("#view-videos .player-note").text
    assert sorted(page.texts("#view-videos .name")) == ["<b>gone.mp4", "a.avi"]
    assert page.all("#view-videos b") == []
    played = page.until(
        "const frame = document.querySelector('#view-videos .player.is-playing');"
        "return frame?.video?.currentTime > 0 && [frame.moment.plays, frame.video.currentSrc]"
    )
    assert played[0] is False
    assert "?preview=" in played[1]
