"""A downloaded file as a user walks with it: import, export, a real Triton, embedding, search, and training from it."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.training.importing.published_trunks.restated import S3D, R2Plus1D, ResNet, with_random_numbers
from tests.walking import Walk, walk_in

pytestmark = pytest.mark.triton

TRAINING = """
views = ["rgb", "flow"]
[flow]
size_px = 64
[clip]
num_blocks = 4
frames_per_block = 2
step_seconds = 0.1
[model]
depth = "resnet10"
width = 4
[training]
epochs = 1
batch_size = 4
[classifier]
epochs = 1
""" + "".join(f"[view.{view}]\nresize_px = 36\ncrop_px = 32\n" for view in ("rgb", "flow"))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    walk = walk_in(tmp_path_factory.mktemp("walk"))
    (walk.folder / "tiny.toml").write_text(TRAINING)
    walk("cocon", "data", "make", "--num-videos", 12, "--seconds", 1, "--size", 48, "--output", "data/figures")
    return walk


@pytest.mark.parametrize(
    ("name", "network", "options"),
    [
        ("resnet18", lambda: ResNet("resnet18"), ["--inflate"]),
        *(
            pytest.param(name, network, options, marks=pytest.mark.slow)
            for name, network, options in (
                ("resnet50", lambda: ResNet("resnet50"), []),
                ("resnet50_inflated", lambda: ResNet("resnet50"), ["--inflate"]),
                ("r2plus1d", R2Plus1D, []),
                ("s3d", S3D, ["--set", "clip.frames_per_block=16"]),
            )
        ),
    ],
)
def test_a_file_goes_the_whole_way(name: str, network: Callable[[], nn.Module], options: list[str], walk: Walk) -> None:
    torch.save(with_random_numbers(network()).state_dict(), walk.folder / f"{name}.pth")
    run, models = f"runs/{name}", f"models_{name}"
    short = ["--set", "clip.num_blocks=2", "--set", "view.rgb.resize_px=36", "--set", "view.rgb.crop_px=32"]
    walk("cocon", "import", "--from", "torchvision", "--output", run, *options, *short, f"{name}.pth")
    walk("cocon", "export", "--run", run, "--repository", models, "--no-torchscript")
    query, place = walk.videos("train")[2], ["--index", f"index_{name}"]
    with walk.serving("cocon_rgb", repository=models) as url:
        walk("client", "index", "add", "--url", url, *place, *walk.videos("train"))
        # What the server said of the same video, and what this process says.
        hits = walk.json("client", "search", query, "--url", f"local:{models}", *place, "--top", 3)
    assert float(str(hits[0]["score"])) >= 0.999
    if name.startswith("resnet"):  # the random numbers of others find all figures alike
        assert str(hits[0]["video"]).endswith(query)


@pytest.mark.slow
def test_training_starts_from_it(walk: Walk) -> None:
    torch.save(with_random_numbers(ResNet("resnet18", width=8)).state_dict(), walk.folder / "narrow.pth")
    walk("cocon", "import", "--from", "torchvision", "--inflate", "--output", "runs/narrow", "narrow.pth")
    further = ("cocon", "train", "--config", "tiny.toml", "--output", "runs/further")
    trained = walk(*further, "--init-from", "rgb=runs/narrow")
    assert "cocon encoders of rgb, flow" in trained.stdout
    walk("cocon", "export", "--run", "runs/further", "--repository", "models_further", "--no-torchscript")
    merits = walk.json("cocon", "evaluate", "runs/further")
    assert {merit["view"] for merit in merits} >= {"rgb", "flow", "ensemble"}
    (row,) = walk.json("client", "embed", "--url", "local:models_further", "--view", "all", walk.videos("train")[0])[:1]
    assert len(row["embedding"]) == 64 + 16
