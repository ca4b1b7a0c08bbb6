"""What the last release wrote opens unchanged: runs, packed runs, model repositories and indexes.

`released.tar.xz` was made by its commands on twelve generated videos of a second each: `run` (four views, with a
boundary head), `packed`, `repository` (four encoders in ONNX, one in TorchScript, fusion, boundaries, feature maps),
`index` (rgb) and `index_fused`; `expected` is what its commands printed.
"""

import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cocon.embedding.contract import ModelContract
from tests.walking import Walk, walk_in

HERE = Path(__file__).parent
VIEWS = ("rgb", "flow", "pose", "mask")
LOCAL = ("--url", "local:repository")
# Of another machine's floating point.
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """The release's folder; not to be written to, but for locks."""
    folder = tmp_path_factory.mktemp("released")
    with tarfile.open(HERE / "released.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return walk_in(folder)


@pytest.fixture
def copied(released: Walk, tmp_path: Path) -> Walk:
    """A copy to write to."""
    return walk_in(Path(shutil.copytree(released.folder, tmp_path / "released")))


def _expected(walk: Walk, name: str) -> Any:
    text = (walk.folder / "expected" / name).read_text()
    return [json.loads(line) for line in text.splitlines()] if name.endswith(".jsonl") else json.loads(text)


def _assert_alike(found: object, expected: object) -> None:
    """Equal, numbers within the tolerance."""
    if isinstance(expected, float):
        assert found == pytest.approx(expected, abs=TOLERANCE)
    elif isinstance(expected, list):
        assert isinstance(found, list) and len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            _assert_alike(*pair)
    elif isinstance(expected, dict):
        assert isinstance(found, dict) and list(found)[: len(expected)] == list(expected)  # more may follow
        for key, value in expected.items():
            _assert_alike(found[key], value)
    else:
        assert found == expected


@pytest.mark.parametrize("artefact", ["run/views/{}", "packed/views/{}", "repository/cocon_{}/1"])
@pytest.mark.parametrize("view", VIEWS)
def test_fingerprints_are_the_same(artefact: str, view: str, released: Walk) -> None:
    text = (released.folder / artefact.format(view) / "contract.json").read_text()
    assert ModelContract.from_json(text, source="the release's").fingerprint == json.loads(text)["fingerprint"]


@pytest.mark.parametrize("view", ["rgb", "all"])
def test_rows_of_a_video_are_the_same(view: str, released: Walk) -> None:
    done = released("client", "embed", *LOCAL, "--view", view, "--format", "jsonl", "data/videos/figure_00000.mp4")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    _assert_alike(found, _expected(released, f"embed_{view}.jsonl"))


@pytest.mark.parametrize(("index", "view"), [("index", "rgb"), ("index_fused", "all")])
def test_an_index_answers_the_same(index: str, view: str, released: Walk) -> None:
    found = released.json("client", "search", "data/videos/figure_00001.mp4", *LOCAL, "--index", index)
    _assert_alike(found, _expected(released, f"search_{view}.json"))


def test_an_index_knows_the_videos_that_it_has_wherever_they_lie_now(copied: Walk) -> None:
    added = copied("client", "index", "add", *LOCAL, "--index", "index", "--view", "rgb", "data/videos")
    # Duplicates where they still lie in the folder that they were added from, moved where that is gone.
    told = added.stdout + added.stderr
    assert re.search(r"0 added, (12 updated, 0 unchanged|0 unchanged, 12 duplicate), 0 failed", told), told


def test_classes_are_the_same(released: Walk) -> None:
    found = released.json("client", "classify", "data/videos/figure_00001.mp4", *LOCAL, "--view", "all")
    _assert_alike(found, _expected(released, "classify_all.json"))


def test_located_actions_are_the_same(released: Walk) -> None:
    done = released("client", "locate", "untrimmed/videos/figure_00000.mp4", *LOCAL, "--view", "rgb", "--json")
    expected = _expected(released, "locate_rgb.json")
    found = json.loads(done.stdout)
    found["actions"], expected["actions"] = found["actions"][:2], expected["actions"][:2]  # the others score nothing
    _assert_alike(found, expected)


def test_a_run_is_already_exported_but_for_an_output_that_came_since(copied: Walk) -> None:
    repository = copied.folder / "repository"
    before = {path: path.read_bytes() for path in sorted(repository.rglob("*")) if path.is_file()}
    copied("cocon", "export", "--run", "run", "--repository", "repository", "--feature-maps", "--no-torchscript")
    after = {path: path.read_bytes() for path in sorted(repository.rglob("*")) if path.is_file()}
    encoders = {repository / f"cocon_{view}" for view in VIEWS}
    changed = {path for path in before if before[path] != after.get(path) and path.name != "README.md"}
    # The ensemble gives what the encoders give, so it has it too; what it fuses, and how, is the same. The queue of
    # every model is bounded since.
    ensemble = repository / "cocon"
    exported = {path for path in repository.glob("*/config.pbtxt") if not path.parent.name.endswith("_torchscript")}
    assert changed == exported
    assert after[ensemble / "1" / "fusion.json"] == after[ensemble / "2" / "fusion.json"]
    new = {encoder / "2" / name for encoder in encoders for name in ("model.onnx", "contract.json", "config.pbtxt")}
    new |= {ensemble / "2" / name for name in ("fusion.json", "config.pbtxt")}
    assert set(after) - set(before) == new | {repository / ".writer.lock", repository / ".versions.json"}
    for view in VIEWS:
        earlier, now = (repository / f"cocon_{view}" / version / "contract.json" for version in "12")
        assert after[earlier] == after[now]


def test_a_packed_run_is_exported_as_the_same_encoders(copied: Walk) -> None:
    views = ("rgb", "pose")
    named = [f"--views={view}" for view in views]
    copied("cocon", "export", "--run", "packed", "--repository", "other", "--no-torchscript", *named)
    for view in views:
        packed, exported = (
            ModelContract.from_json((copied.folder / folder / "contract.json").read_text(), source=folder)
            for folder in (f"packed/views/{view}", f"other/cocon_{view}/1")
        )
        assert exported == packed


def test_a_run_is_judged_by_the_same_figures(released: Walk) -> None:
    found, expected = released.json("cocon", "evaluate", "run"), _expected(released, "evaluation.json")
    known = {figure for row in expected for figure in row}  # others came later
    assert [(row["method"], row["view"], [figure for figure in row if figure in known]) for row in found] == [
        (row["method"], row["view"], list(row)) for row in expected
    ]


def test_a_complete_run_is_left_alone(copied: Walk) -> None:
    before = {path: path.read_bytes() for path in (copied.folder / "run").rglob("*.safetensors")}
    copied("cocon", "train", "--preset", "run/config.toml", "--output", "run")
    assert {path: path.read_bytes() for path in (copied.folder / "run").rglob("*.safetensors")} == before


def test_an_interrupted_run_goes_on_from_its_state(copied: Walk) -> None:
    (copied.folder / "run/complete.json").unlink()
    steps = (copied.folder / "run/metrics.jsonl").read_text().splitlines()
    copied("cocon", "train", "--preset", "run/config.toml", "--output", "run")
    assert (copied.folder / "run/complete.json").is_file()
    pretraining = [json.loads(line) for line in (copied.folder / "run/metrics.jsonl").read_text().splitlines()]
    assert pretraining[0] == json.loads(steps[0])  # not from the beginning again
