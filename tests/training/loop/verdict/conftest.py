"""A set that is large enough to hold something out of it."""

import os
from pathlib import Path

import pytest

_COPIES = 4


@pytest.fixture(scope="session")
def many(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each of the twelve videos four times, all for training, of two classes; nothing may write here."""
    root = tmp_path_factory.mktemp("many")
    rows = ["video_id,path,label,group,split"]
    for index, video in enumerate(sorted((figures / "videos").iterdir())):
        for copy in range(_COPIES):
            name = f"{video.stem}_{copy}"
            _link(video, root / "videos" / f"{name}.mp4")
            for view in ("flow", "pose", "mask"):
                _link(figures / "views" / view / f"{video.stem}.npz", root / "views" / view / f"{name}.npz")
            rows.append(f"{name},videos/{name}.mp4,{('bow', 'jump')[index % 2]},group {copy} {index // 4},train")
    (root / "manifest.csv").write_text("\n".join([*rows, ""]))
    return root


def _link(file: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    os.link(file, name)
