"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from cocon.core.atomic import replacing


@pytest.mark.parametrize("is_durable", [False, True])
def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path, is_durable: bool) -> None:
    path = tmp_path / "new" / "a.txt"
    for text in ("one", "two"):
        with replacing(path, is_durable=is_durable) as aside:
            aside.write_text(text)
            assert not path.exists() or path.read_text() == "one"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as aside:
        aside.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
