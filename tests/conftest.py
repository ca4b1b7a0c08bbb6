"""What every test may rely on."""

import os
import signal
from pathlib import Path

import pytest

# A shell that starts the tests in the background has them ignore Ctrl-C, and children inherit that; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_videos() -> Path:
    """The folder of real videos that COCON_TEST_VIDEOS names; its expected.csv lists them."""
    named = os.environ.get("COCON_TEST_VIDEOS", "")
    if not named or not (Path(named) / "expected.csv").is_file():
        pytest.fail(f"COCON_TEST_VIDEOS ({named!r}) must name a folder with expected.csv and the videos that it lists")
    return Path(named)
