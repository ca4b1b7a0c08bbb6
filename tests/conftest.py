"""What every test may rely on."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# A shell that starts the tests in the background has them ignore Ctrl-C, and children inherit that; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


# What a test asks for tells what it needs; a test that takes long by itself says `slow`.
_MARKER_OF_FIXTURE = {
    "browser": "browser",
    **dict.fromkeys(("can_serve", "server"), "triton"),
    **dict.fromkeys(("figures", "make_source", "make_state", "released", "two_views", "walk"), "training"),
    **dict.fromkeys(
        ("client", "embedder", "maps_url", "process", "square", "story", "videos", "write_video"), "videos"
    ),
}


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their fixtures, and begin with the files that start a server: they take longest."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if marker := _MARKER_OF_FIXTURE.get(fixture):
                item.add_marker(marker)
    serving = {item.path for item in items if item.get_closest_marker("triton")}
    items.sort(key=lambda item: item.path not in serving)


@pytest.fixture(scope="session")
def real_videos() -> Path:
    """The folder of real videos that COCON_TEST_VIDEOS names; its expected.csv lists them."""
    named = os.environ.get("COCON_TEST_VIDEOS", "")
    if not named or not (Path(named) / "expected.csv").is_file():
        pytest.fail(f"COCON_TEST_VIDEOS ({named!r}) must name a folder with expected.csv and the videos that it lists")
    return Path(named)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of a user for whom a closed folder is closed, which it is not for root."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        user = os.geteuid() or 65_534
        os.chown(folder, user, -1)
        before = os.geteuid()
        os.seteuid(user)
        try:
            yield Path(folder)
        finally:
            os.seteuid(before)
