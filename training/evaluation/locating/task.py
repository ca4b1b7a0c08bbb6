"""Judging a run by the actions it locates in untrimmed videos: `cocon evaluate --task localization`.

For each view a light head learns on the frozen blocks of the training videos where actions start and end; figures are
of the validation videos. The heads stay in the run, where `cocon export` finds them.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from cocon.core.errors import UsageError, VideoError
from cocon.core.paths import real_path
from cocon.embedding.contract import ModelContract
from cocon.embedding.locating.boundary_model import BoundaryContract, half_block_frames
from cocon.embedding.locating.proposals import Segment, uniform_proposals
from cocon.training.annotations.activitynet import Subset, UntrimmedVideo, read_activitynet
from cocon.training.boundary_head.learning import BoundarySettings, boundary_probabilities, train_boundary_head
from cocon.training.boundary_head.network import BoundaryHead
from cocon.training.data.frames import VideoFrames
from cocon.training.evaluation.locating.actions import (
    MAX_SEGMENTS,
    BoundaryPredictions,
    fit_segment_probe,
    learned_segments,
    localization_figures,
)
from cocon.training.evaluation.locating.untrimmed_blocks import Sequences, block_sequences
from cocon.training.evaluation.recognition.evaluate import untrained_encoders
from cocon.training.evaluation.recognition.features import Encoders
from cocon.training.evaluation.recognition.metrics import FUSED
from cocon.training.evaluation.tasks import TaskRequest, TaskResult
from cocon.training.models.encoder import default_device
from cocon.training.run_folder.boundary_heads import BoundaryRecord
from cocon.training.run_folder.files import SUMS_FILE
from cocon.training.run_folder.view_files import tensors_sha256
from cocon.training.run_folder.warm_start import RANDOM
from cocon.video.reading.reader import ViewRequest
from cocon.video.store.dataset import DatasetFolder

__all__ = ["evaluate"]

_logger = logging.getLogger(__name__)

_TITLE = "actions located in the validation videos, %"
_LEARNED, _UNIFORM = "boundary head", "uniform"
# Of the shortest and longest training action: other videos have somewhat shorter and longer ones.
_LIMIT_SLACK = 0.1

Rows = tuple[Mapping[str, str | float], ...]


def evaluate(request: TaskRequest) -> TaskResult:
    """Train the heads of all views on the training videos, keep them in the run, and evaluate them on the others.

    A packed run does not keep them, which is said.

    Raises:
        UsageError: there are no annotated videos of a subset, their actions are all of one class, or the run cannot
            keep the heads.
        VideoError: no video of a subset can be read.
    """
    videos = read_activitynet(request.data, request.annotations)
    _check_subsets(videos, request.data)
    run, views = request.run, request.run.views
    if not (is_kept := run.keeps_boundary_heads(views)):
        _logger.warning(
            "run '%s' is packed, so it keeps no boundary heads; to keep them, judge a copy without %s",
            run,
            SUMS_FILE,
        )
    encoders = {view: run.encoder(view) for view in views}
    settings = BoundarySettings(seed=run.config.training.seed)
    task = _Localization(request, videos, encoders, settings)
    rows, heads = task.evaluate(encoders, run.method)
    for view, head in heads.items() if is_kept else ():
        (of_view,) = (row for row in rows if (row["view"], row["segments"]) == (view, _LEARNED))
        figures = {name: value for name, value in of_view.items() if isinstance(value, float)}
        contract = task.boundary_contract(encoders[view][1], head)
        record = BoundaryRecord(contract, settings, real_path(request.data).name, task.num_training, figures)
        run.save_boundary_head(head, record)
    if request.has_random:
        rows = task.evaluate(untrained_encoders(run.config, task.frames["training"]), RANDOM)[0] + rows
    return TaskResult(_TITLE, rows, task.failures)


class _Localization:
    """The videos of both subsets, and what is done with them for one set of encoders after the other.

    Args:
        request: what is to be evaluated.
        videos: annotated ones.
        encoders: of the run; they say which views are read, and how.
        settings: of the heads.
    """

    def __init__(
        self,
        request: TaskRequest,
        videos: tuple[UntrimmedVideo, ...],
        encoders: Encoders,
        settings: BoundarySettings,
    ) -> None:
        self._request = request
        self._settings = settings
        self.videos: dict[Subset, dict[str, UntrimmedVideo]] = {
            subset: {video.video_id: video for video in videos if video.subset == subset}
            for subset in ("training", "validation")
        }
        dataset = DatasetFolder.open(request.data)
        requests = {view: ViewRequest(contract.geometry, contract.flow) for view, (_, contract) in encoders.items()}
        gib = request.run.config.data.cache_gib / 2
        self.frames = {
            subset: VideoFrames(
                [entry for entry in dataset.videos if entry.video_id in named],
                dataset.root,
                requests,
                cache_gib=gib,
                grid=request.run.config.clip.spec(),
            )
            for subset, named in self.videos.items()
        }
        lengths = [s.end_seconds - s.start_seconds for v in self.videos["training"].values() for s in v.segments]
        self._limits = {
            "min_seconds": (1 - _LIMIT_SLACK) * min(lengths),
            "max_seconds": (1 + _LIMIT_SLACK) * max(lengths),
        }

    @property
    def failures(self) -> dict[str, str]:
        """Id → reason of every video that could not be loaded so far."""
        return {name: why for frames in self.frames.values() for name, why in frames.failures.items()}

    @property
    def num_training(self) -> int:
        """Training videos that could be read."""
        return len(self.videos["training"].keys() - self.failures.keys())

    def boundary_contract(self, encoder: ModelContract, head: BoundaryHead) -> BoundaryContract:
        """The contract of a head that was trained on the encoder's blocks."""
        return BoundaryContract(
            view=encoder.view,
            encoder_fingerprint=encoder.fingerprint,
            embedding_dim=encoder.embedding_dim,
            hop_frames=half_block_frames(encoder.clip.frames_per_block),
            **self._limits,
            weights_sha256=tensors_sha256(head.state_dict()),
        )

    def evaluate(self, encoders: Encoders, method: str) -> tuple[Rows, dict[str, BoundaryHead]]:
        """The figures of some encoders, and the heads that they are of, by view."""
        training, validation = (self._sequences(encoders, subset, method) for subset in ("training", "validation"))
        heads: dict[str, BoundaryHead] = {}
        views: dict[str, BoundaryPredictions] = {}
        with self._request.progress_bar("training boundary heads", unit="heads") as on_progress:
            for view, sequences in training.items():
                actions = [self.videos["training"][name].segments for name in sequences]
                heads[view] = train_boundary_head(list(sequences.values()), actions, self._settings)
                probe = fit_segment_probe(self.videos["training"].values(), sequences)
                found = {name: boundary_probabilities(heads[view], s) for name, s in validation[view].items()}
                views[view] = BoundaryPredictions(validation[view], found, probe)
                on_progress(len(heads), len(training))
        return tuple(self._rows(views, method)), heads

    def _sequences(self, encoders: Encoders, subset: Subset, method: str) -> Sequences:
        for encoder, _ in encoders.values():
            encoder.to(default_device())
        with self._request.progress_bar(f"embedding {subset} videos ({method})") as on_progress:
            found = block_sequences(encoders, self.frames[subset], on_progress=on_progress)
        videos = self.videos[subset]
        for video_id, sequence in next(iter(found.values())).items():
            videos[video_id] = videos[video_id].cut(sequence.duration_seconds)
        return found

    def _rows(self, views: Mapping[str, BoundaryPredictions], method: str) -> Iterator[Mapping[str, str | float]]:
        """Each view alone, then all together; by the heads and by uniform segments, named by the same probes."""
        for name, chosen in [*((view, {view: of}) for view, of in views.items()), (FUSED, views)]:
            if name == FUSED and len(views) < 2:
                continue
            seen = {video: self.videos["validation"][video] for video in next(iter(chosen.values())).sequences}
            truths = {video_id: video.segments for video_id, video in seen.items()}
            if not any(truths.values()):
                raise VideoError("none of the validation videos that have actions can be read; see the warnings")
            learned: dict[str, list[Segment]] = {
                video_id: learned_segments(chosen, video_id, **self._limits) for video_id in seen
            }
            uniform = {  # as many, which know nothing of the video but the limits
                video_id: uniform_proposals(video.duration_seconds, MAX_SEGMENTS, **self._limits)
                for video_id, video in seen.items()
            }
            for how, segments in ((_LEARNED, learned), (_UNIFORM, uniform)):
                figures = localization_figures(chosen, segments, truths)
                yield {"method": method, "view": name, "segments": how, **figures}


def _check_subsets(videos: tuple[UntrimmedVideo, ...], data: Path) -> None:
    actions = {
        subset: {s.label for video in videos if video.subset == subset for s in video.segments}
        for subset in ("training", "validation")
    }
    for subset, labels in actions.items():
        if not labels:
            raise UsageError(f"dataset '{data}' has no annotated actions in videos of subset '{subset}'")
    if len(actions["training"]) < 2:
        (label,) = actions["training"]
        raise UsageError(f"dataset '{data}' has only the class '{label}' in subset 'training'; a probe needs two")
