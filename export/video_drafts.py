"""The model that takes whole videos, once it is wanted: it follows the encoders that it calls."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from cocon.embedding.config_files import STEPS_KEY, parameter, read_config, steps_text
from cocon.embedding.fusion import EQUAL_WEIGHTS
from cocon.embedding.repository import CONFIG_FILE, model_name
from cocon.embedding.videos.call_record import LIMITS_KEY, VIDEO_FILE, VIDEO_KEY, VIDEO_MODEL
from cocon.export.cards.video import video_card
from cocon.export.models.video import call_record, video_config, video_limits, write_video
from cocon.export.present_encoders import PresentEncoders, newest_version
from cocon.export.repository.stage import Draft
from cocon.export.sources import ExportOptions, ViewSource

__all__ = ["video_drafts"]


def video_drafts(
    sources: Sequence[ViewSource], repository: Path, options: ExportOptions, *, staged: Path | None = None
) -> Iterator[Draft]:
    """The model of whole videos, if it is wanted or there already; as `drafts_of`."""
    config_path = repository / VIDEO_MODEL / CONFIG_FILE
    if options.video is None and not config_path.is_file():
        return
    # What an operator has once set stays until it is set to something else.
    before = parameter(read_config(config_path), LIMITS_KEY) if config_path.is_file() else None
    limits = video_limits(options.video or (), before=before or "")
    present = PresentEncoders.of(sources, repository)
    folders = [repository] if staged is None else [staged, repository]
    models = (model_name(contract.view) for contract in present.contracts)
    versions = {model: newest_version(folders, model) for model in models}
    record = call_record(present.contracts, versions, present.learned or EQUAL_WEIGHTS, present.lacking)
    if not record.encoders:
        return
    steps = {encoder.model: encoder.version for encoder in record.encoders.values()}
    yield Draft(
        video_config(record, options.deployment, limits),
        VIDEO_FILE,
        identity={VIDEO_KEY: record.to_json(), STEPS_KEY: steps_text(steps)},
        write=partial(write_video, record),
        card=partial(video_card, record, present.training),
        embedding_dim=record.fusion.embedding_dim,
        labels=record.fusion.labels,
    )
