import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from cocon.client import FailedVideo, VideoEmbedder, VideoEmbedding
from cocon.client.pipeline.embedder_settings import EmbedderSettings
from cocon.client.pipeline.lanes import Lanes
from cocon.core.errors import (
    MismatchError,
    MissingViewError,
    ServerError,
    TooLargeError,
    UnreadableVideoError,
    UsageError,
)
from cocon.embedding.contract import fused_fingerprint
from cocon.embedding.fusion import EQUAL_WEIGHTS
from cocon.video.clips import ClipSpec
from cocon.video.decoding.limits import MediaLimits
from tests.client.conftest import Client, contract, copy_with_unfit_view, make_repository, write_video


def test_vectors_are_finite_and_of_unit_length(embedder: VideoEmbedder, videos: list[Path]) -> None:
    result = embedder.embed(videos[0])
    assert result.embedding.shape == (5, 8)
    assert result.embedding.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(result.embedding, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(result.start_seconds, [0.0, 0.4, 0.8, 1.2, 1.6], atol=1e-6)
    np.testing.assert_allclose(result.end_seconds, [0.4, 0.8, 1.2, 1.6, 2.0], atol=1e-6)


def test_row_says_where_it_comes_from(embedder: VideoEmbedder, videos: list[Path]) -> None:
    row = list(embedder.embed(videos[0]).rows())[1]
    assert set(row) == {
        *("video", "content_sha256", "view", "clip", "start_seconds", "end_seconds", "num_frames", "truncated"),
        *("empty_views", "model", "version", "fingerprint", "embedding"),
    }
    assert row["content_sha256"] == hashlib.sha256(videos[0].read_bytes()).hexdigest()
    assert (row["clip"], row["start_seconds"], row["num_frames"], row["truncated"]) == (1, 0.4, 20, False)
    assert (row["view"], row["model"], row["version"]) == ("rgb", "cocon_rgb", "1")
    assert row["fingerprint"] == contract("rgb").fingerprint


def test_results_come_in_the_order_of_the_paths_and_equal_single_ones(
    embedder: VideoEmbedder, videos: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    paths = [videos[2], broken, videos[0], tmp_path / "gone.mp4", *videos]
    results = list(embedder.embed_many(paths))
    assert [result.video for result in results] == [str(path) for path in paths]
    assert [position for position, result in enumerate(results) if isinstance(result, FailedVideo)] == [1, 3]
    alone = embedder.embed(videos[0])
    together = results[2]
    assert isinstance(together, VideoEmbedding)
    np.testing.assert_allclose(together.embedding, alone.embedding, atol=1e-6)


def test_failed_video_says_why(embedder: VideoEmbedder, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(UnreadableVideoError):
        embedder.embed(broken)
    (failed,) = embedder.embed_many([broken])
    assert isinstance(failed, FailedVideo)
    assert failed.row()["error"] == {"class": "UnreadableVideoError", "message": failed.message}
    with pytest.raises(UsageError, match="does not exist"):
        embedder.embed(tmp_path / "gone.mp4")


def test_overlap_shortens_the_hop(url: str, videos: list[Path]) -> None:
    with VideoEmbedder(url, overlap=0.5) as embedder:
        np.testing.assert_allclose(np.diff(embedder.embed(videos[0]).start_seconds), 0.2, atol=1e-6)
    with pytest.raises(UsageError, match="overlap"):
        VideoEmbedder(url, overlap=1.0)


def test_cosine_of_fused_vectors_is_the_mean_of_the_views(url: str, videos: list[Path]) -> None:
    found = {}
    for views in (("rgb",), ("flow",), ("all",)):
        with VideoEmbedder(url, views=views) as embedder:
            found[views] = [embedder.embed(video) for video in videos[:2]]
    rgb, flow, fused = (
        float(first.embedding[0] @ second.embedding[1]) for first, second in (found[views] for views in found)
    )
    assert fused == pytest.approx((rgb + flow) / 2, abs=1e-6)
    both = found[("all",)][0]
    assert (both.view, both.model, both.version) == ("flow+rgb", "cocon_flow+cocon_rgb", "1+1")
    fingerprints = {"rgb": contract("rgb").fingerprint, "flow": contract("flow", weights="2").fingerprint}
    assert both.fingerprint == fused_fingerprint(fingerprints, dict(EQUAL_WEIGHTS))


def test_blocks_are_those_of_the_clips_and_fuse_like_them(url: str, videos: list[Path]) -> None:
    found = {}
    for views in (("rgb",), ("flow",), ("all",)):
        with VideoEmbedder(url, views=views) as embedder:
            found[views] = embedder.embed(videos[0])
    assert found[("rgb",)].blocks.shape == (5, 2, 8)
    means = found[("rgb",)].blocks.mean(axis=1)  # this encoder's embedding is the mean of its blocks
    means /= np.linalg.norm(means, axis=-1, keepdims=True)
    np.testing.assert_allclose(means, found[("rgb",)].embedding, atol=1e-6)
    rgb, flow, fused = (embedding.blocks.reshape(10, -1) for embedding in found.values())
    np.testing.assert_allclose(fused @ fused.T, (rgb @ rgb.T + flow @ flow.T) / 2, atol=1e-5)


def test_missing_view_is_left_out_and_said(
    tmp_path: Path, videos: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = make_repository(tmp_path / "models", contract("rgb"), contract("mask"))
    video = copy_with_unfit_view(videos[0], tmp_path, "mask")
    with VideoEmbedder(f"local:{root}", views=("mask", "rgb")) as embedder:
        result = embedder.embed(video)
        assert result.view == "rgb"
        assert result.fingerprint == contract("rgb").fingerprint
        assert "embedded as rgb alone: view file" in caplog.text
        with pytest.raises(MissingViewError, match="lacks view mask"):
            result.check_complete()
        assert result.fingerprint != embedder.model.fingerprint
    with VideoEmbedder(f"local:{root}", views=("mask",)) as embedder, pytest.raises(MissingViewError, match="mask"):
        embedder.embed(video)


def test_views_with_different_clips_are_not_fused(tmp_path: Path) -> None:
    longer = dataclasses.replace(contract("mask"), clip=ClipSpec(2, 2, 0.2))
    root = make_repository(tmp_path / "models", contract("rgb"), longer)
    with pytest.raises(MismatchError, match="different clips"):
        VideoEmbedder(f"local:{root}", views=("all",))


def test_unknown_view_and_missing_model_are_told(url: str) -> None:
    with pytest.raises(UsageError, match="known views: rgb, flow"):
        VideoEmbedder(url, views=("heat",))
    with pytest.raises(UsageError, match="it has: rgb, flow"):
        VideoEmbedder(url, views=("pose",))
    with pytest.raises(UsageError, match="does not exist"):
        VideoEmbedder("local:/nowhere")


def test_not_finite_vectors_are_refused(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "models", contract("rgb"))
    grey = tmp_path / "grey.mp4"
    write_video(grey, seed=0)
    with VideoEmbedder(f"local:{root}") as embedder:
        clips = np.full((1, 2, 2, 16, 16, 3), 100, np.uint8)  # this encoder divides zero by zero here
        with pytest.raises(MismatchError, match=r"not finite|length"):
            embedder.model.models["rgb"].embed(clips)


def test_pose_and_mask_are_made_from_a_bare_video_and_nobody_in_it_is_said(
    tmp_path: Path, videos: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = make_repository(tmp_path / "models", *(contract(view) for view in ("rgb", "flow", "pose", "mask")))
    with VideoEmbedder(f"local:{root}", views=("all",)) as embedder:
        result = embedder.embed(videos[0])
    assert result.view == "flow+mask+pose+rgb"
    assert result.missing == {}
    assert "no person found in" in caplog.text


def test_a_video_that_lost_its_end_is_embedded_as_far_as_it_goes_and_marked(
    tmp_path: Path, embedder: VideoEmbedder, caplog: pytest.LogCaptureFixture
) -> None:
    whole = write_video(tmp_path / "whole.mkv", seed=1, num_frames=200)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert not embedder.embed(whole).truncated
    result = embedder.embed(cut)
    assert result.truncated
    assert all(row["truncated"] for row in result.rows())
    assert 50 < result.num_frames < 150
    assert "it ends after" in caplog.text


def test_limits_refuse_a_video_and_the_others_go_on(videos: list[Path], repository: Path) -> None:
    with VideoEmbedder(f"local:{repository}", limits=MediaLimits(max_pixels=10)) as embedder:
        results = list(embedder.embed_many(videos[:2]))
    assert [type(result.error) for result in results if isinstance(result, FailedVideo)] == [TooLargeError] * 2


def test_nothing_is_left_among_temporary_files(
    process: Client, videos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    assert process("embed", videos[0], "--output", "rows.parquet", "-q").returncode == 0
    assert [*temporary.iterdir()] == []


def test_a_profile_counts_what_was_done_in_workers_and_here(
    repository: Path, videos: list[Path], tmp_path: Path
) -> None:
    output = tmp_path / "profile.json"
    with VideoEmbedder(f"local:{repository}", profile=str(output)) as embedder:
        list(embedder.embed_many(videos))
        assert not output.exists()
    profile = json.loads(output.read_text())
    stages = profile["stages"]
    assert all(stages[name] > 0 for name in ("start", "decode", "views", "pack", "compute", "fuse"))
    assert (stages["send"], stages["queue"]) == (0, 0)  # there is no server


def test_the_cores_share_the_clips_of_one_video(repository: Path, videos: list[Path]) -> None:
    with VideoEmbedder(f"local:{repository}", num_cores=1) as alone, VideoEmbedder(f"local:{repository}") as shared:
        one, many = alone.embed(videos[0]), shared.embed(videos[0])
    np.testing.assert_allclose(many.embedding, one.embedding, atol=1e-6)
    assert np.array_equal(many.start_seconds, one.start_seconds)


def test_who_follows_versions_waits_until_all_servers_have_changed(
    tmp_path: Path, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for weights in ("1", "2"):
        make_repository(tmp_path / weights, contract("rgb", weights=weights))
    first, second = f"local:{tmp_path / '1'}", f"local:{tmp_path / '2'}"
    with VideoEmbedder(first, follows_versions=True) as embedder, VideoEmbedder(second) as promoted:
        before = embedder.model.fingerprint
        monkeypatch.setattr("cocon.client.pipeline.lanes._LOOK_S", 0.0)
        hosts = [*embedder._lanes._hosts, *promoted._lanes._hosts]
        monkeypatch.setattr(embedder._lanes, "_hosts", hosts)  # the first has not changed, and the second has
        embedder._lanes.follow()
        assert embedder.model.fingerprint == before
        assert embedder._lanes.have_moved()  # is looked at again, though nothing has changed since
        monkeypatch.setattr(embedder._lanes, "_hosts", promoted._lanes._hosts)
        embedder._lanes.follow()
        assert embedder.model.fingerprint == promoted.model.fingerprint != before
        assert not embedder._lanes.have_moved()
        assert isinstance(embedder.embed(videos[0]), VideoEmbedding)


def test_views_that_are_served_and_were_not_asked_for_are_said_once(
    tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    for settings in (EmbedderSettings(url), EmbedderSettings(url, are_views_chosen=False)):
        with settings.open() as embedder:
            assert embedder.model.view == "rgb"
    (message,) = caplog.messages
    assert message == (
        "view rgb alone is used, though flow can be had: --view all fuses them, --view rgb is without this line"
    )
    caplog.clear()
    root = make_repository(tmp_path / "models", contract("rgb"))
    with EmbedderSettings(f"local:{root}", are_views_chosen=False).open():
        assert caplog.messages == []


def test_a_server_that_does_not_say_which_views_it_has_is_used_all_the_same(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(lanes: Lanes) -> list[str]:
        raise ServerError("no answer")

    monkeypatch.setattr(Lanes, "unused_views", property(silent))
    with EmbedderSettings(url, are_views_chosen=False).open() as embedder:
        assert embedder.model.view == "rgb"
    assert caplog.messages == []


def test_an_embedder_is_closed_where_the_note_on_views_is_interrupted(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(lanes: Lanes) -> list[str]:
        raise KeyboardInterrupt

    closed: list[VideoEmbedder] = []
    close = VideoEmbedder.close
    monkeypatch.setattr(VideoEmbedder, "close", lambda embedder: (closed.append(embedder), close(embedder)))
    monkeypatch.setattr(Lanes, "unused_views", property(interrupted))
    with pytest.raises(KeyboardInterrupt):
        EmbedderSettings(url, are_views_chosen=False).open()
    assert len(closed) == 1
