"""What all refusals of a file have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cocon.core.errors import MismatchError


def assert_refused(tmp_path: Path, parts: tuple[str, ...], call: Callable[[], Any]) -> None:
    """A call refuses a file in one line that has these parts, and leaves no run."""
    with pytest.raises(MismatchError) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
