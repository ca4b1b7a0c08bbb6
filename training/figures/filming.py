"""Film one planned video: move the skeleton, render it, and write the video and its views."""

from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from numpy.typing import NDArray

from cocon.core.atomic import replacing
from cocon.training.figures.appearance import paint_materials
from cocon.training.figures.limbs import place_limbs, project_skeleton
from cocon.training.figures.performance import perform
from cocon.training.figures.planning import VideoPlan
from cocon.training.figures.rendering import Shot, Views, render
from cocon.training.figures.settings import FRAMES_PER_SECOND, FigureSettings
from cocon.training.figures.skeleton import KEYPOINTS, pose_skeleton
from cocon.video.estimation.flow import flow_to_bytes
from cocon.video.store.dataset import content_sha256
from cocon.video.store.files import write_frames, write_keypoints

__all__ = ["FLOW_FRAMES", "STORED_VIEWS", "film", "film_to_folder", "video_path"]

Array = NDArray[np.float64]

STORED_VIEWS = ("flow", "pose", "mask")
# The flow looks 1/15 s ahead.
FLOW_FRAMES = 2
_ENCODER_OPTIONS = {"crf": "20", "preset": "veryfast", "threads": "1", "g": str(FRAMES_PER_SECOND)}


def video_path(root: Path, video_id: str) -> Path:
    """Where a video of a set lies."""
    return root / "videos" / f"{video_id}.mp4"


def film(plan: VideoPlan, settings: FigureSettings) -> tuple[Views, Array]:
    """Render one video.

    Args:
        plan: What to film.
        settings: Sizes.

    Returns:
        RGB, exact flow and mask; and the key points `float64 [F, 17, 3]`: x, y in pixels of the RGB frame, and a score
        of 1 inside it, 0 outside.
    """
    seconds = np.arange(plan.num_frames + FLOW_FRAMES) / FRAMES_PER_SECOND
    angles = perform(plan, seconds)
    yaw = plan.camera.yaw_degrees
    skeleton = pose_skeleton(plan.body.proportions, angles).turned(yaw, plan.camera.elevation_degrees)
    limbs = place_limbs(skeleton, plan.body.proportions, plan.clothes, plan.camera, seconds)
    materials = paint_materials(plan.body, plan.clothes, float(np.sin(np.deg2rad(yaw))))
    views = render(
        Shot(limbs, materials, plan.background, plan.camera, seconds),
        num_frames=plan.num_frames,
        flow_frames=FLOW_FRAMES,
        size_px=settings.size_px,
        view_size_px=settings.view_size_px,
    )
    flat = project_skeleton(skeleton.points, plan.camera, seconds)
    places = np.stack([flat[name] for name in KEYPOINTS], axis=1)[: plan.num_frames]  # [F, 17, 2]
    is_inside = ((places >= 0) & (places < 1)).all(axis=-1, keepdims=True)
    return views, np.concatenate([places * settings.size_px, is_inside], axis=-1)


def film_to_folder(root: Path, plan: VideoPlan, settings: FigureSettings) -> None:
    """Render one video and write it, then its views, which name the content that they belong to."""
    views, keypoints = film(plan, settings)
    times = np.arange(plan.num_frames) / FRAMES_PER_SECOND
    path = video_path(root, plan.video_id)
    _write_mp4(path, views.rgb)
    attributes: dict[str, float | str] = {"algorithm": "exact", "content_sha256": content_sha256(path)}
    flow_attributes = attributes | {"flow_interval_seconds": FLOW_FRAMES / FRAMES_PER_SECOND}
    write_frames(root, "flow", plan.video_id, flow_to_bytes(views.flow), times, attributes=flow_attributes)
    write_frames(root, "mask", plan.video_id, views.mask, times, attributes=attributes)
    points = keypoints[:, None].astype(np.float16)  # [F, 1, 17, 3]
    side = settings.size_px
    write_keypoints(root, plan.video_id, points, times, height=side, width=side, attributes=attributes)


def _write_mp4(path: Path, rgb: NDArray[np.uint8]) -> None:
    """H.264 `[F, H, W, 3]` at 30 frames/s; the same frames give the same bytes."""
    options = {"fflags": "+bitexact"}
    with replacing(path) as partial, av.open(str(partial), "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=_ENCODER_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = rgb.shape[2], rgb.shape[1], "yuv420p"
        stream.codec_context.flags |= Flags.bitexact
        for picture in rgb:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
