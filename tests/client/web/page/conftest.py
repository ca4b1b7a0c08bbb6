"""A browser for all tests of the page, and indexes that tests may change."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chromium import Browser, opened_chromium
from tests.client.conftest import write_video
from tests.client.web.page.opened_page import OpenedPage
from tests.client.web.server import WebServer

Opener = Callable[..., OpenedPage]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with opened_chromium() as opened:
        yield opened


@pytest.fixture
def opened(browser: Browser, shown: WebServer) -> Iterator[Opener]:
    """`opened(section, server=shown, width=1280, scheme="light")`: the page in the browser."""

    def of(section: str = "search", server: WebServer = shown, **window: object) -> OpenedPage:
        return OpenedPage.of(browser, server, section, **window)

    yield of
    browser.get("about:blank")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 3 s that no index has, but that is like one of them."""
    return write_video(tmp_path_factory.mktemp("clip") / "my clip.mp4", seed=2, num_frames=30)


@pytest.fixture
def serve(url: str, tmp_path: Path) -> Iterator[Callable[..., WebServer]]:
    """`serve(index, url)`: a server of its own, ended with the test."""
    with ExitStack() as servers:
        yield lambda index, models=url: servers.enter_context(WebServer(index, models, tmp_path))


@pytest.fixture(scope="session")
def unlabelled(indexed: Path, url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `index` and the videos `own/<b>0.mp4` to 5, which nobody may change."""
    root = tmp_path_factory.mktemp("unlabelled")
    (root / "own").mkdir()
    for number, video in enumerate(sorted(indexed.glob("videos/*/*.mp4"))):
        shutil.copy(video, root / "own" / f"<b>{number}.mp4")
    client("index", "add", "own", "--index", "index", "--url", url, folder=root)
    return root


@pytest.fixture
def own_index(unlabelled: Path, tmp_path: Path) -> Path:
    """A copy of that index for a test that changes it."""
    return Path(shutil.copytree(unlabelled / "index", tmp_path / "index"))


def client(*arguments: str, folder: Path) -> None:
    """Run the command, quietly, in a folder."""
    command = [sys.executable, "-m", "cocon.client", *arguments]
    subprocess.run(command, cwd=folder, check=True, timeout=300, capture_output=True)
