"""What is said of a path that is not there, or is something else."""

from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.core.paths import check_file, check_folder


@pytest.mark.parametrize("name", ["absent", "."])
def test_no_file_is_named_with_what_it_should_be(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(UsageError, match=f"^video '{path}' does not exist or is no file$"):
        check_file(path, "video")


def test_no_folder_is_named_with_a_remedy(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.touch()
    for path in (file, tmp_path / "absent"):
        with pytest.raises(UsageError, match=f"^--data '{path}' does not exist or is no folder; name one$"):
            check_folder(path, "--data", remedy="name one")


def test_what_is_there_passes(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    check_file(str(tmp_path / "a.mp4"), "video")
    check_folder(tmp_path, "dataset folder")
