"""The generated set: repeatable, balanced, blind to the label in appearance, exact in its views."""

import csv
import hashlib
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from cocon.core.errors import StorageError, UsageError
from cocon.training.data.cli import app
from cocon.training.figures.actions import JOINTS, LABELS, joint_angles, mirror_angles
from cocon.training.figures.figures import make_figures
from cocon.training.figures.filming import FLOW_FRAMES, STORED_VIEWS, film, video_path
from cocon.training.figures.planning import VideoPlan, plan_video, plan_videos
from cocon.training.figures.scene import Sway
from cocon.training.figures.settings import DEFAULT_CLUTTER, FigureSettings
from cocon.training.figures.skeleton import Proportions, pose_skeleton
from cocon.video.estimation.flow import flow_to_bytes
from cocon.video.store.dataset import content_sha256
from cocon.video.store.files import read_view, view_path
from tests.disks import full_disk

pytestmark = pytest.mark.training

SMALL = FigureSettings(num_videos=4, seconds=0.5, size_px=64, view_size_px=32)
PLAIN = FigureSettings(num_videos=2 * len(LABELS), seconds=1.0, clutter=0.0)


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("figures")
    make_figures(root, SMALL, workers=1)
    return root


def _digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _still(plan: VideoPlan) -> VideoPlan:
    """The same video from a tripod."""
    return replace(plan, camera=replace(plan.camera, sway=Sway(), zoom_sway=Sway()))


def test_same_settings_give_the_same_bytes_with_any_number_of_workers(small_set: Path, tmp_path: Path) -> None:
    make_figures(tmp_path / "again", SMALL, workers=2)
    digests = _digests(tmp_path / "again")
    assert digests == _digests(small_set)
    assert len(digests) == 4 * (1 + len(STORED_VIEWS)) + 2  # manifest.csv and generator.json


def test_another_seed_gives_other_videos() -> None:
    views, _ = film(plan_videos(SMALL)[0], SMALL)
    others, _ = film(plan_videos(replace(SMALL, seed=1))[0], SMALL)
    assert np.abs(views.rgb.astype(int) - others.rgb).mean() > 5


def test_manifest_names_existing_videos_and_no_group_is_in_both_splits(small_set: Path) -> None:
    with (small_set / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["video_id", "path", "label", "group", "split"]
    assert [row["split"] for row in rows] == ["train", "train", "test", "test"]
    assert all((small_set / row["path"]).is_file() for row in rows)
    assert {row["label"] for row in rows} <= set(LABELS)
    groups = {split: {row["group"] for row in rows if row["split"] == split} for split in ("train", "test")}
    assert not groups["train"] & groups["test"]


def test_splits_share_neither_body_nor_place() -> None:
    plans = plan_videos(FigureSettings())
    facts = [
        (plan.split, plan.body.identity, plan.body.proportions, plan.background.identity, plan.background.texture_seed)
        for plan in plans
    ]
    for column in range(1, len(facts[0])):
        train, test = ({fact[column] for fact in facts if fact[0] == split} for split in ("train", "test"))
        assert len(train) > 40 and len(test) > 40
        assert not train & test


def test_default_set_is_balanced() -> None:
    counts = Counter((plan.split, plan.label) for plan in plan_videos(FigureSettings()))
    assert len(LABELS) >= 10
    assert set(counts.values()) == {FigureSettings().num_train // len(LABELS)}
    assert len(counts) == 2 * len(LABELS)


def test_label_reaches_nothing_but_the_movement() -> None:
    for index in (0, 3):
        plans = [plan_video(SMALL, index, label) for label in LABELS]
        assert len({replace(plan, label="") for plan in plans}) == 1


def test_appearance_does_not_predict_the_label() -> None:
    plans = plan_videos(FigureSettings())
    labels = np.array([LABELS.index(plan.label) for plan in plans])
    for name, values in {
        "stature": [plan.camera.stature for plan in plans],
        "yaw": [plan.camera.yaw_degrees for plan in plans],
        "pace": [plan.timing.cycles_per_second for plan in plans],
        "side": [plan.timing.is_mirrored for plan in plans],
        "girth": [plan.body.proportions.girth for plan in plans],
        "wall": [plan.background.wall[0] for plan in plans],
        "shirt": [plan.clothes.shirt.color[0] for plan in plans],
    }.items():
        values = np.array(values, np.float64)
        means = np.array([values[labels == k].mean() for k in range(len(LABELS))])
        # Share of the variance between classes; (K-1)/(n-1) = 0.023 is expected of independent draws.
        share = ((means - values.mean()) ** 2).mean() / values.var()
        assert share < 0.06, name


def test_videos_decode_to_every_frame(small_set: Path) -> None:
    expected, _ = film(plan_videos(SMALL)[1], SMALL)
    with av.open(str(video_path(small_set, "figure_00001"))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, float(stream.average_rate or 0)) == ("h264", "yuv420p", 30.0)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(frames) == 15
    assert np.abs(np.stack(frames).astype(int) - expected.rgb).mean() < 8


def test_stored_views_are_what_was_rendered(small_set: Path) -> None:
    views, keypoints = film(plan_videos(SMALL)[2], SMALL)
    flow, pose, mask = (read_view(small_set, view, "figure_00002") for view in STORED_VIEWS)
    assert flow.pixels is not None and mask.pixels is not None and pose.keypoints is not None
    np.testing.assert_array_equal(flow.pixels, flow_to_bytes(views.flow))
    np.testing.assert_array_equal(mask.pixels, views.mask)
    np.testing.assert_allclose(pose.keypoints[:, 0], keypoints, atol=0.04)
    made = {"algorithm": "exact", "content_sha256": content_sha256(video_path(small_set, "figure_00002"))}
    assert flow.attributes == made | {"flow_interval_seconds": 1 / 15}
    assert mask.attributes == pose.attributes == made
    assert (pose.height, pose.width) == (64, 64)
    np.testing.assert_allclose(flow.timestamps, np.arange(15) / 30)


def test_flow_bytes_follow_the_scale_and_clip() -> None:
    np.testing.assert_array_equal(
        flow_to_bytes(np.array([0.0, 20.0, -20.0, 99.0, -99.0, 1.0])), [128, 255, 1, 255, 1, 134]
    )


def test_flow_carries_the_figure_onto_its_later_self() -> None:
    """Warping by the flow must explain most of the change of what moves, in every action."""
    settings = replace(PLAIN, size_px=128, view_size_px=128)
    for plan in plan_videos(settings)[: len(LABELS)]:
        views, _ = film(plan, settings)
        grid = np.stack(np.meshgrid(np.arange(128), np.arange(128)), axis=-1)
        warped_error, still_error = 0.0, 0.0
        for frame in range(0, settings.num_frames - FLOW_FRAMES, 4):
            inside = (views.mask[frame, ..., 0] == 255) & (np.linalg.norm(views.flow[frame], axis=-1) > 2)
            now, later = views.rgb[frame].astype(np.float32), views.rgb[frame + FLOW_FRAMES].astype(np.float32)
            places = (grid + views.flow[frame]).astype(np.float32)
            warped = cv2.remap(later, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            warped_error += float(np.abs(warped - now)[inside].sum())
            still_error += float(np.abs(later - now)[inside].sum())
        assert warped_error < 0.4 * still_error, plan.label


def test_still_plain_background_has_no_flow() -> None:
    views, _ = film(_still(plan_videos(PLAIN)[4]), PLAIN)
    outside = views.mask[..., 0] == 0
    # A nearest sample may still touch the figure where less than half a level of coverage is left.
    assert np.abs(views.flow[outside]).max() < 1e-9
    assert np.abs(views.flow[~outside]).max() > 1


def test_panning_camera_moves_plain_background_by_the_pan() -> None:
    plan = plan_videos(PLAIN)[0]
    camera = replace(plan.camera, zoom_sway=Sway())
    views, _ = film(replace(plan, camera=camera), PLAIN)
    pan = camera.sway.at(np.array([0.0, FLOW_FRAMES / 30]))
    np.testing.assert_allclose(views.flow[0, 0, 0], (pan[1] - pan[0]) * PLAIN.view_size_px, atol=1e-9)


def test_keypoints_lie_on_the_mask_and_inside_the_picture() -> None:
    on_mask, inside = [], []
    for plan in plan_videos(PLAIN)[: len(LABELS)]:
        views, keypoints = film(plan, PLAIN)
        inside.append(keypoints[..., 2])
        cells = np.clip(keypoints[..., :2] * PLAIN.view_size_px / PLAIN.size_px, 0, PLAIN.view_size_px - 1).astype(int)
        frames = np.arange(len(cells))[:, None]
        on_mask.append(views.mask[frames, cells[..., 1], cells[..., 0], 0] > 0)
    assert np.mean(on_mask) > 0.95
    assert np.mean(inside) > 0.999


def test_mask_covers_what_the_figure_changes_in_the_picture() -> None:
    """On a plain still background, pixels that differ between two poses belong to the person in one of them."""
    settings = replace(PLAIN, view_size_px=PLAIN.size_px)
    plan = _still(next(plan for plan in plan_videos(settings) if plan.label == "jumping jack"))
    views, _ = film(plan, settings)
    changed = np.abs(views.rgb[0].astype(int) - views.rgb[12]).max(axis=-1) > 2
    person = (views.mask[0, ..., 0] > 0) | (views.mask[12, ..., 0] > 0)
    assert changed.sum() > 200
    assert not (changed & ~person).any()
    heights = [np.ptp(np.nonzero(mask[..., 0].any(axis=1))[0]) / PLAIN.size_px for mask in views.mask]
    assert min(heights) > 0.55 and max(heights) < 0.95


def test_clutter_is_loudness_of_the_background() -> None:
    def deviation(clutter: float) -> float:
        settings = replace(SMALL, clutter=clutter)
        views, _ = film(plan_videos(settings)[0], settings)
        return float(views.rgb[0, :20].std(axis=(0, 1)).mean())

    assert deviation(0.0) < 1 < deviation(DEFAULT_CLUTTER) < deviation(1.0)
    assert [len(plan_videos(replace(SMALL, clutter=c))[0].background.things) for c in (0, DEFAULT_CLUTTER, 1)] == [
        0,
        3,
        12,
    ]


def test_deleted_file_is_made_again_and_nothing_else(small_set: Path) -> None:
    before = _digests(small_set)
    lost = view_path(small_set, "flow", "figure_00003")
    kept = video_path(small_set, "figure_00001")
    lost.unlink()
    made_at = kept.stat().st_mtime_ns
    assert make_figures(small_set, SMALL, workers=1).num_made == 1
    assert kept.stat().st_mtime_ns == made_at
    assert _digests(small_set) == before
    assert make_figures(small_set, SMALL).num_made == 0


def test_interrupted_set_goes_on_and_refuses_other_settings(small_set: Path) -> None:
    """An interrupted set has the unfinished record only."""
    before = _digests(small_set)
    (small_set / "generator.json").rename(small_set / "generator.unfinished.json")
    (small_set / "manifest.csv").unlink()
    with pytest.raises(UsageError, match="seed is 0, not 7"):
        make_figures(small_set, replace(SMALL, seed=7))
    make_figures(small_set, SMALL)
    assert _digests(small_set) == before


def test_other_settings_are_refused_and_replaced_on_request(tmp_path: Path) -> None:
    two = replace(SMALL, num_videos=2, seconds=0.2)
    make_figures(tmp_path, two, workers=1)
    before = _digests(tmp_path)
    with pytest.raises(UsageError, match=r"seconds is 0\.2, not 0\.1"):
        make_figures(tmp_path, replace(two, seconds=0.1))
    assert _digests(tmp_path) == before
    make_figures(tmp_path, replace(two, seconds=0.1), workers=1, overwrite=True)
    assert json.loads((tmp_path / "generator.json").read_text())["seconds"] == 0.1
    assert len(read_view(tmp_path, "mask", "figure_00000").timestamps) == 3


def test_foreign_folder_is_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path\nmine.mp4\n")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="not generated here"):
            make_figures(tmp_path, SMALL, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.csv"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_videos", 1), ("seconds", 0.0), ("size_px", 111), ("view_size_px", 8), ("clutter", 1.5), ("seed", -1)],
)
def test_settings_name_the_value_that_breaks_a_rule(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=rf"{name} \({value}\) must be"):
        FigureSettings(**{name: value})  # type: ignore[arg-type]  # the rules are what is tested


def test_command_says_in_one_line_that_nothing_is_to_do(small_set: Path) -> None:
    options = ["--num-videos", "4", "--seconds", "0.5", "--size", "64", "--view-size", "32"]
    result = CliRunner().invoke(app, ["make", "--output", str(small_set), *options])
    assert result.exit_code == 0
    assert result.stdout == f"{small_set} is complete: 4 videos\n"


def test_command_line_loads_no_heavy_library() -> None:
    """Its `--help` must be quick."""
    code = "import sys, cocon.training.data.cli; print({'cv2', 'av', 'torch', 'numpy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_angles_repeat_every_cycle_without_jumps() -> None:
    phase = np.linspace(-1, 2, 3001)
    for label in LABELS:
        angles = joint_angles(label, phase)
        turned = angles[1000:] - angles[:-1000]
        np.testing.assert_allclose((turned + 180) % 360, 180, atol=1e-6, err_msg=label)
        hop = JOINTS.index("hop")
        assert np.abs(np.diff(np.delete(angles, hop, axis=1), axis=0)).max() < 3.0, label


def test_mirroring_twice_is_the_same_movement() -> None:
    angles = joint_angles("kick", np.linspace(0, 1, 30))
    mirrored = mirror_angles(angles)
    np.testing.assert_array_equal(mirror_angles(mirrored), angles)
    np.testing.assert_array_equal(mirrored[:, JOINTS.index("right_knee")], angles[:, JOINTS.index("left_knee")])


def test_bones_keep_their_length_and_feet_the_ground() -> None:
    body = Proportions()
    phase = np.linspace(0, 1, 60)
    for label in LABELS:
        points = pose_skeleton(body, joint_angles(label, phase)).points
        for start, end, length in (
            ("left_hip", "left_knee", body.thigh),
            ("right_knee", "right_ankle", body.shin),
            ("left_shoulder", "left_elbow", body.upper_arm),
            ("right_elbow", "right_wrist", body.forearm),
        ):
            np.testing.assert_allclose(np.linalg.norm(points[end] - points[start], axis=-1), length, err_msg=label)
        lowest = np.minimum(points["left_ankle"][:, 1], points["right_ankle"][:, 1])
        assert lowest.min() > 0.039
        if label not in ("jump", "jumping jack"):
            np.testing.assert_allclose(lowest, 0.04)


def test_swing_and_circle_pass_through_the_same_poses() -> None:
    phase = np.linspace(0, 1, 400, endpoint=False)
    circle, swing = (joint_angles(label, phase) for label in ("arm circle", "arm swing"))
    distance = np.abs(swing[:, None] - circle[None]).max(axis=-1).min(axis=1)
    assert distance.max() < 2.0


@pytest.mark.parametrize(("max_bytes", "name"), [(0, "generator.unfinished.json"), (2000, "videos/figure_00000.mp4")])
def test_a_full_disk_is_told_by_the_file_and_the_same_command_goes_on(
    tmp_path: Path, max_bytes: int, name: str
) -> None:
    with full_disk(max_bytes), pytest.raises(StorageError, match=f"^'{tmp_path / name}' cannot be written: File too"):
        make_figures(tmp_path, SMALL, workers=1)
    assert not [path.name for path in tmp_path.rglob("*.partial")]
    assert make_figures(tmp_path, replace(SMALL, num_videos=4), workers=1).num_made == 4
