import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoEmbedder, VideoIndex, classify_by_index, top_actions
from cocon.client.classify import check_labels
from cocon.core.errors import MismatchError

from .conftest import LABELS, Client, contract, make_repository, write_video


def test_probabilities_are_the_mean_over_clips_and_sum_to_one(embedder: VideoEmbedder, videos: list[Path]) -> None:
    result = embedder.embed(videos[0])
    predictions = top_actions(result, check_labels(embedder.model), top=len(LABELS))
    assert sum(prediction.probability for prediction in predictions) == pytest.approx(1.0, abs=1e-5)
    assert [prediction.rank for prediction in predictions] == [1, 2, 3, 4, 5, 6]
    assert result.probabilities is not None
    mean = result.probabilities.mean(axis=0)
    assert predictions[0].label == LABELS[int(mean.argmax())]
    assert predictions[0].probability == pytest.approx(float(mean.max()), abs=1e-6)


def test_probabilities_of_views_are_averaged(url: str, videos: list[Path]) -> None:
    found = []
    for views in (("rgb",), ("flow",), ("rgb", "flow")):
        with VideoEmbedder(url, views=views) as embedder:
            found.append(embedder.embed(videos[0]).probabilities)
    rgb, flow, both = found
    assert rgb is not None and flow is not None and both is not None
    np.testing.assert_allclose(both, (rgb + flow) / 2, atol=1e-6)


def test_model_without_classifier_cannot_name_actions(tmp_path: Path, videos: list[Path]) -> None:
    root = make_repository(tmp_path / "models", contract("rgb", labels=()), contract("flow", labels=("a", "b")))
    with VideoEmbedder(f"local:{root}") as embedder:
        with pytest.raises(MismatchError, match="view rgb has no classifier"):
            check_labels(embedder.model)
        with pytest.raises(MismatchError, match="without probabilities"):
            top_actions(embedder.embed(videos[0]), LABELS)


def test_models_of_different_classes_are_not_averaged(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "models", contract("rgb"), contract("flow", labels=("a", "b")))
    with (
        VideoEmbedder(f"local:{root}", views=("all",)) as embedder,
        pytest.raises(MismatchError, match="different classes"),
    ):
        check_labels(embedder.model)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, url: str) -> Path:
    """An index of a class of three videos that hardly differ, one of a single video, and a video without a label."""
    folder = tmp_path_factory.mktemp("labelled")
    rows = ["path,label", *(f"red{n}.mp4,red" for n in range(3)), "blue.mp4,blue"]
    for number in range(3):
        write_video(folder / "videos" / f"red{number}.mp4", seed=1, num_frames=20 + number)
    write_video(folder / "videos" / "blue.mp4", seed=2)
    write_video(folder / "videos" / "other.mp4", seed=3)
    (folder / "videos" / "manifest.csv").write_text("\n".join(rows) + "\n")
    with VideoEmbedder(url) as embedder:
        VideoIndex(folder / "index").add(sorted((folder / "videos").glob("*.mp4")), embedder)
    return folder


def test_the_labelled_videos_of_an_index_name_a_video_but_not_itself(embedder: VideoEmbedder, labelled: Path) -> None:
    index = VideoIndex(labelled / "index")
    red = classify_by_index(index, embedder.embed(labelled / "videos" / "red0.mp4"))
    assert red[0].label == "red" and sum(found.probability for found in red) == pytest.approx(1.0, abs=1e-5)
    alone = classify_by_index(index, embedder.embed(labelled / "videos" / "blue.mp4"))
    assert alone[0].label != "blue", "only the video itself has this label"
    (best,) = classify_by_index(index, embedder.embed(labelled / "videos" / "other.mp4"), top=1)
    assert best.rank == 1 and best.video.endswith("other.mp4")


def test_a_stranger_is_unknown_before_all(embedder: VideoEmbedder, labelled: Path) -> None:
    index = VideoIndex(labelled / "index")
    red = embedder.embed(labelled / "videos" / "red0.mp4")
    stranger = replace(red, embedding=-red.embedding, content_sha256="0" * 64)
    found = classify_by_index(index, stranger, top=9)
    assert found[0].label == "unknown" and len(found) == 3
    assert found[0].probability > 0.5 and sum(of.probability for of in found) == pytest.approx(1.0, abs=1e-5)


def test_a_class_called_unknown_is_the_unknown(embedder: VideoEmbedder, labelled: Path, tmp_path: Path) -> None:
    videos = [Path(shutil.copy(path, tmp_path)) for path in sorted((labelled / "videos").glob("*.mp4"))]
    rows = [f"{path.name},{'unknown' if 'red' in path.name else path.stem}" for path in videos]
    (tmp_path / "manifest.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    index = VideoIndex(tmp_path / "index")
    index.add(videos, embedder)
    for sign in (1, -1):
        video = embedder.embed(videos[-1])
        found = classify_by_index(index, replace(video, embedding=sign * video.embedding), top=9)
        assert sorted(prediction.label for prediction in found) == ["blue", "other", "unknown"]
        assert sum(of.probability for of in found) == pytest.approx(1.0, abs=1e-5)


def test_the_command_needs_no_classifier_and_prints_what_it_always_prints(client: Client, labelled: Path) -> None:
    red, other = labelled / "videos" / "red1.mp4", labelled / "videos" / "other.mp4"
    plain = labelled / "plain"
    if not plain.exists():
        make_repository(plain, contract("rgb", labels=()))
    asked = ("classify", red, other, "--index", labelled / "index", "--url", f"local:{plain}")
    ended = client(*asked, "--json", "--top", 1)
    assert ended.returncode == 0, ended.stderr
    rows = json.loads(ended.stdout)
    assert [list(row) for row in rows] == [["video", "rank", "label", "probability"]] * 2
    assert (rows[0]["video"], rows[0]["label"]) == (str(red), "red")
    table = client(*asked)
    assert table.returncode == 0 and "probability" in table.stdout and "red" in table.stdout
    assert {path.name for path in (labelled / "index").iterdir()} >= {"catalog.sqlite", "index.json"}


def test_what_an_index_cannot_answer_is_refused_in_one_line(
    client: Client, labelled: Path, videos: list[Path], tmp_path: Path
) -> None:
    index = shutil.copytree(labelled / "index", tmp_path / "index")
    other = make_repository(tmp_path / "other", contract("rgb", weights="9"))
    assert client("index", "add", videos[1], "--index", "unlabelled").returncode == 0
    before = {path.name: path.read_bytes() for path in index.iterdir()}
    for arguments, code, reason in (
        (["--index", "nowhere"], 2, "does not exist"),
        (["--index", "unlabelled"], 2, "no labelled videos"),
        (["--index", index, "--url", f"local:{other}"], 5, "another model"),
        (["--index", index, "--view", "flow"], 5, "another model"),
        (["--index", index, "--output", index / "catalog.sqlite", "--format", "jsonl"], 2, "--output"),
        (["--index", index, "--failures", index / "index.json"], 2, "--failures"),
    ):
        ended = client("classify", videos[0], *arguments)
        assert (ended.returncode, ended.stdout) == (code, ""), arguments
        assert reason in ended.stderr and len(ended.stderr.strip().splitlines()) == 1, arguments
    assert {path.name: path.read_bytes() for path in index.iterdir()} == before
