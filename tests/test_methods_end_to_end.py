"""ViCC, VCLR and CycleContrast as a user walks them: training, export, a real Triton, embedding, search."""

import pytest

from tests.walking import Walk, walk_in

pytestmark = pytest.mark.triton

CONFIG = """
views = ["rgb", "flow"]
[flow]
size_px = 64
[clip]
num_blocks = 3
frames_per_block = 4
step_seconds = 0.1
[model]
depth = "resnet10"
width = 4
[training]
epochs = 2
batch_size = 4
[classifier]
epochs = 1
[vicc]
queue_size = 8
num_prototypes = 8
[vclr]
queue_size = 8
[cycle]
queue_size = 8
cycle_queue_size = 8
num_neighbours = 3
[for.vclr.clip]
frames_per_block = 1
[for.vclr.model]
backbone = "resnet2d"
depth = "resnet50"
[for.cycle.clip]
frames_per_block = 1
[for.cycle.model]
backbone = "resnet2d"
""" + "".join(f"[view.{view}]\nresize_px = 36\ncrop_px = 32\n" for view in ("rgb", "flow"))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    walk = walk_in(tmp_path_factory.mktemp("walk"))
    (walk.folder / "tiny.toml").write_text(CONFIG)
    walk("cocon", "data", "make", "--num-videos", 16, "--seconds", 1, "--size", 48, "--output", "data/figures")
    return walk


@pytest.mark.parametrize(
    ("method", "formats"),
    [
        ("cycle", ["--no-torchscript"]),  # which takes longest to export and to load
        *(pytest.param(method, ["--torchscript"], marks=pytest.mark.slow) for method in ("vicc", "vclr")),
    ],
)
def test_a_method_goes_the_whole_way(method: str, formats: list[str], walk: Walk) -> None:
    run = f"runs/{method}"
    trained = walk("cocon", "train", "--config", "tiny.toml", "--method", method, "--output", run)
    assert f"{method} encoders of rgb, flow" in trained.stdout
    walk("cocon", "export", "--run", run, "--overwrite", "--repository", f"models_{method}", *formats)
    merits = walk.json("cocon", "evaluate", run)
    assert {merit["method"] for merit in merits} == {"random", method}
    query, place = walk.videos("train")[2], ["--view", "all", "--index", f"index_{method}"]
    with walk.serving("cocon ", "cocon_rgb", "cocon_flow", repository=f"models_{method}") as url:
        (served,) = walk.json("client", "embed", "--url", url, "--view", "all", query)[:1]
        (local,) = walk.json("client", "embed", "--url", f"local:models_{method}", "--view", "all", query)[:1]
        assert served["embedding"] == pytest.approx(local["embedding"], abs=1e-3)
        walk("client", "index", "add", "--url", url, *place, *walk.videos("train"))
        hits = walk.json("client", "search", query, "--url", url, "--index", place[-1], "--top", 3)
    assert str(hits[0]["video"]).endswith(query)
    assert float(str(hits[0]["score"])) >= 0.999
