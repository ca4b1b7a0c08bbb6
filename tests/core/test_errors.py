"""The tree of deliberate errors and their exit codes."""

import pytest

from cocon.core import errors
from cocon.core.errors import CoconError


@pytest.mark.parametrize(
    ("name", "exit_code"),
    [
        ("CoconError", 1),
        ("StorageError", 1),
        ("UsageError", 2),
        ("VideoError", 3),
        ("UnreadableVideoError", 3),
        ("EmptyPartError", 3),
        ("WorkerDiedError", 3),
        ("NoVideoStreamError", 3),
        ("TooLargeError", 3),
        ("TimedOutError", 3),
        ("TruncatedVideoError", 3),
        ("MissingViewError", 3),
        ("ServerError", 4),
        ("MismatchError", 5),
        ("GateError", 6),
    ],
)
def test_every_error_ends_a_command_with_its_documented_code(name: str, exit_code: int) -> None:
    error = getattr(errors, name)
    assert issubclass(error, CoconError)
    assert error.exit_code == exit_code


def test_no_deliberate_error_is_left_out_of_the_table_above() -> None:
    assert len(errors.__all__) == 15


def test_a_failed_input_is_told_apart_from_a_wrong_command() -> None:
    assert issubclass(errors.MissingViewError, errors.VideoError)
    assert not issubclass(errors.UsageError, errors.VideoError)
