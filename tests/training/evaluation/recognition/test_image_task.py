"""Images classified by a frame encoder, and `cocon evaluate --task`."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from cocon.core.errors import UsageError
from cocon.training.config.run import Config
from cocon.training.evaluation.recognition.image_task import image_entries

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
Outcome = tuple[int, str, str]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright and dark images in noise, 12 and 6 of each."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for split, number in (("train", 12), ("test", 6)):
        for label, level in (("bright", 190), ("dark", 60)):
            (folder / split / label).mkdir(parents=True)
            for index in range(number):
                pixels = np.clip(rng.normal(level, 20, (32, 40, 3)), 0, 255).astype(np.uint8)
                ending = ("png", "jpg", "webp")[index % 3]
                cv2.imwrite(str(folder / split / label / f"{index:02}.{ending}"), pixels)
    return folder


@pytest.fixture(scope="module")
def frame_run(tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "cycle"
    settings = ["method=cycle", "model.backbone=resnet2d", "clip.frames_per_block=1", "views=['rgb']"]
    queues = ["cycle.queue_size=4", "cycle.cycle_queue_size=4", "cycle.num_neighbours=2"]
    train_tiny(tiny_config(*settings, *queues, "training.epochs=1", "classifier.head=none"), run)
    return run


def test_images_are_told_apart_beside_the_untrained_network(
    frame_run: Path, images: Path, cocon: Callable[..., Outcome]
) -> None:
    code, out, errors = cocon("evaluate", frame_run, "--task", "images", "--data", images, "--json")
    assert code == 0, errors
    rows = json.loads(out)
    assert [row["method"] for row in rows] == ["random", "cycle"]
    assert all(row["probe_top1"] == row["R@1"] == 100 for row in rows)
    code, out, _ = cocon("evaluate", frame_run, "--task", "images", "--data", images, "--no-random")
    assert code == 0
    assert "test images, per cent" in out and "random" not in out


def test_an_image_that_cannot_be_read_is_left_out_and_the_exit_code_is_3(
    frame_run: Path,
    images: Path,
    cocon: Callable[..., Outcome],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    for source in images.rglob("*.*"):
        target = tmp_path / source.relative_to(images)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
    (tmp_path / "test" / "dark" / "broken.png").write_bytes(b"no image")
    code, out, errors = cocon("evaluate", frame_run, "--task", "images", "--data", tmp_path, "--no-random", "--json")
    assert code == 3
    assert json.loads(out)[0]["probe_top1"] == 100
    assert "1 video was left out" in errors
    assert "broken.png' cannot be decoded" in caplog.text


def test_a_split_without_two_classes_is_named(images: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"'.*val' has 0 images in folders of classes; two classes are needed: val/CLASS"
    ):
        image_entries(images, "val")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "images"], "--task images needs --data: a folder of images, train/CLASS/"),
        (["--task", "tracking", "--data", "/nowhere"], "--data '/nowhere' does not exist or is no folder"),
    ],
)
def test_a_task_without_its_data_is_one_line(
    arguments: list[str], message: str, trained: Path, cocon: Callable[..., Outcome]
) -> None:
    code, _, errors = cocon("evaluate", trained, *arguments)
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1


def test_an_encoder_of_blocks_is_refused(trained: Path, images: Path, cocon: Callable[..., Outcome]) -> None:
    code, _, errors = cocon("evaluate", trained, "--task", "images", "--data", images)
    assert code == 2
    assert "looks at blocks of 2 frames; --task images is for those of single frames" in errors
