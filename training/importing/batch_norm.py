"""Running statistics for encoders whose batch normalisation kept none: DPC's pre-training normalised batch by batch."""

from collections.abc import Iterator

from torch import Tensor

from cocon.core.errors import UsageError
from cocon.core.progress import ProgressBar
from cocon.training.config.input_sections import AugmentSection
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import clip_batches, view_requests
from cocon.training.evaluation.recognition.features import calibrate_batch_norm
from cocon.training.models.encoder import Encoder, default_device

__all__ = ["estimate_statistics"]

# 80 clips: the statistics of a deep layer are steady long before. Few at a time, for the sake of memory at 224 px.
_NUM_BATCHES, _BATCH_SIZE = 20, 4
# As the served model sees videos: nothing drawn but the moment and the place of the crop.
_PLAIN = {"gain": 0.0, "rgb_colour": 0.0, "rgb_gray": 0.0, "drawn_per": "clip"}


def estimate_statistics(encoder: Encoder, view: str, config: Config, *, progress_bar: ProgressBar) -> None:
    """Estimate an encoder's running statistics on clips of the configured videos; labels and splits play no part.

    Args:
        encoder: changed in place; on the CPU and in evaluation mode afterwards.
        view: that it sees.
        config: names the videos, the clip and the view's geometry.
        progress_bar: makes a bar from its description.

    Raises:
        UsageError: there are no videos in the folder.
        VideoError: none of them can be read.
    """
    geometry = config.geometry(view)
    share = geometry.crop_px / geometry.resize_px
    plain = config.model_copy(
        update={
            "views": (view,),
            "augment": AugmentSection.model_validate(_PLAIN | {"crop_scale": (share, share)}),
            "training": config.training.model_copy(update={"batch_size": _BATCH_SIZE}),
        }
    )
    dataset = open_dataset(config.data)
    if not dataset.videos:
        raise UsageError(f"'{dataset.root}' has no videos to estimate statistics on")
    requests, grid = view_requests(plain), plain.clip.spec()
    frames = VideoFrames(dataset.videos, dataset.root, requests, cache_gib=config.data.cache_gib, grid=grid)
    device = default_device()
    batches = clip_batches(frames, plain, first_step=0, num_steps=_NUM_BATCHES)
    with progress_bar("estimating statistics of batch normalisation", unit="batches") as on_progress:

        def clips() -> Iterator[Tensor]:
            for done, batch in enumerate(batches, start=1):
                yield batch["clips"][view].to(device)
                on_progress(done, _NUM_BATCHES)

        calibrate_batch_norm(encoder.to(device), clips())
    encoder.to("cpu")
