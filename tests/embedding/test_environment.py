"""`cocon check environment`: every library that decides about vectors, and who makes the views."""

import json
import subprocess
import sys
from importlib.metadata import version

import cv2

from cocon.embedding.environment import estimators, libraries
from cocon.video.estimation.identity import identity_of

_CHECK = "import sys; sys.argv = ['cocon', 'environment', *sys.argv[1:]]; from cocon.embedding.cli import app; app()"
_LESS = "import sys; sys.modules |= dict.fromkeys(('torch', 'faiss', 'mediapipe')); "


def _check(*arguments: str, program: str = _CHECK) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    ).stdout


def test_every_library_is_told_with_its_version() -> None:
    told = json.loads(_check("--json"))
    found = {library["name"]: library for library in told["libraries"]}
    assert found.keys() == {library.name for library in libraries()}
    assert found["numpy"]["version"] == f"numpy {version('numpy')}"
    assert found["cv2"]["detail"].startswith(f"loads as {cv2.__version__}, ")
    assert found["av"]["detail"].startswith("FFmpeg: avcodec ")
    assert "CPUExecutionProvider" in found["onnxruntime"]["detail"]
    assert told["estimators"] == estimators()
    assert told["estimators"]["flow"][0] == identity_of("flow")
    assert told["estimators"]["mask"] == [identity_of("mask")]


def test_what_is_missing_is_told_with_the_extra_that_brings_it() -> None:
    page = _check(program=_LESS + _CHECK)
    for extra in ("training", "client", "people"):
        assert page.count(f"not installed; run: pip install 'cocon[{extra}]'") == 1
    assert str(identity_of("flow")) in page
