"""An index of six labelled videos, served by the command itself."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.web.server import WebServer


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory, videos: list[Path], url: str) -> Path:
    """A folder with `index` and `videos`, three of which are in `left` and three in `right`: v0 to v5 by their ids."""
    root = tmp_path_factory.mktemp("indexed")
    for number, video in enumerate(videos):
        place = root / "videos" / ("left" if number < 3 else "right") / video.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, place)
    command = [sys.executable, "-m", "cocon.client", "index", "add", "videos", "--index", "index", "--url", url, "-q"]
    subprocess.run(command, cwd=root, check=True, timeout=300, capture_output=True)
    return root


@pytest.fixture(scope="session")
def shown(indexed: Path, url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A server that no test disturbs."""
    with WebServer(indexed / "index", url, tmp_path_factory.mktemp("private")) as server:
        yield server
