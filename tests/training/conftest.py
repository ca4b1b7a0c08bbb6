"""A tiny generated set, and settings so small that a whole training run takes a second."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cocon.core.command import main
from cocon.training.config.files import load_config
from cocon.training.config.run import Config
from cocon.training.figures.figures import make_figures
from cocon.training.figures.settings import FigureSettings
from cocon.training.loop.run import train_run

RESIZE_PX, CROP_PX = 28, 24
_COPIES = 4
TINY = [
    "clip.num_blocks=3",
    "clip.frames_per_block=2",
    "model.num_predicted=1",
    "model.width=4",
    "training.batch_size=2",
    "training.precision=32-true",  # not whichever is faster just now
    "classifier.epochs=2",
    "flow.size_px=32",
    *(f"view.{view}.resize_px={RESIZE_PX}" for view in ("rgb", "flow", "pose", "mask")),
    *(f"view.{view}.crop_px={CROP_PX}" for view in ("rgb", "flow", "pose", "mask")),
]

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
Outcome = tuple[int, str, str]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small lose more to waiting threads than they gain."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="session")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six training and six test videos of a second each; nothing may write here."""
    root = tmp_path_factory.mktemp("figures")
    make_figures(root, FigureSettings(num_videos=12, seconds=1.0, size_px=48, view_size_px=32), workers=1)
    return root


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


@pytest.fixture(scope="session")
def long_films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three films of twelve seconds that get brighter, a key frame every two seconds; nothing may write here."""
    root = tmp_path_factory.mktemp("long_films")
    rng = np.random.default_rng(0)
    for number in range(3):
        options = {"crf": "18", "g": "20", "bf": "0", "movflags": "+faststart"}
        with av.open(str(root / f"film_{number}.mp4"), "w", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=10, options=options)
            stream.width = stream.height = 48
            stream.pix_fmt = "yuv420p"
            for index in range(120):
                picture = rng.integers(0, 120, (48, 48, 3), np.uint8) + np.uint8(index)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
    return root


@pytest.fixture
def figures_copy(figures: Path, tmp_path: Path) -> Path:
    """The same set, to be changed."""
    return Path(shutil.copytree(figures, tmp_path / "figures_copy"))


@pytest.fixture(scope="session")
def tiny_settings(figures: Path) -> list[str]:
    """Overrides that make a preset tiny."""
    return [*TINY, f"data.folder='{figures}'"]


@pytest.fixture(scope="session")
def tiny_config(tiny_settings: list[str]) -> MakeConfig:
    """`tiny_config("section.key=value", ...)`: two views and two epochs, unless overridden."""

    def make(*overrides: str) -> Config:
        return load_config("figures", [*tiny_settings, "views=['rgb', 'pose']", "training.epochs=2", *overrides])

    return make


@pytest.fixture(scope="session")
def train_tiny() -> TrainTiny:
    """`train_tiny(config, run)`: `train_run` without a progress bar."""
    return lambda config, run, *, overwrite=False: train_run(config, run, overwrite=overwrite, progress_bar=silent_bar)


@pytest.fixture(scope="session")
def trained(tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of `tiny_config()`; nothing may write here."""
    run = tmp_path_factory.mktemp("runs") / "trained"
    assert train_tiny(tiny_config(), run)
    return run


@pytest.fixture
def trained_copy(trained: Path, tmp_path: Path) -> Path:
    """The same run, to be changed."""
    return Path(shutil.copytree(trained, tmp_path / "trained_copy"))


@pytest.fixture(scope="session")
def weights_of() -> Callable[[Path], dict[str, torch.Tensor]]:
    """`weights_of(run)`: every tensor of every view's encoder."""
    return lambda run: {
        f"{path.parent.name}.{name}": tensor
        for path in sorted(run.glob("views/*/weights.safetensors"))
        for name, tensor in load_file(path).items()
    }


@pytest.fixture(scope="session")
def progress_bar() -> Callable[[str], object]:
    """What a caller without a terminal passes."""
    return silent_bar


@contextmanager
def silent_bar(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar that shows nothing."""
    yield lambda done, total: None


@pytest.fixture
def cocon(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """`cocon(*arguments)`: exit code, stdout and stderr."""

    def of(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["cocon", *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            main()
        assert isinstance(ending.value.code, int)
        return ending.value.code, *capsys.readouterr()

    return of


def _link(file: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    os.link(file, name)
