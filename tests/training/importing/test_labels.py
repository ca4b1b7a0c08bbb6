"""Files of class names."""

from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.training.importing.conversion import read_labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("jump\nbrush hair\n\n", ("jump", "brush hair")),
        ("2 Archery\n1 ApplyEyeMakeup\r\n", ("ApplyEyeMakeup", "Archery")),
        ("0 a b\n1 c\n", ("a b", "c")),
        ("3 point turn\ndrive\n", ("3 point turn", "drive")),
    ],
)
def test_names_are_in_the_order_of_lines_or_of_their_ids(text: str, labels: tuple[str, ...], tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "labels.txt").write_bytes(text.encode(encoding))
        assert read_labels(tmp_path / "labels.txt") == labels


@pytest.mark.parametrize("content", [b"", b"a\nb\na\n", b"1 a\n3 b\n", b"2 a\n3 b\n", b"1 a\n1 b\n"])
def test_a_file_without_one_name_per_class_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(UsageError, match=r"labels\.txt' must have"):
        read_labels(tmp_path / "labels.txt")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_labels(tmp_path / "none")
