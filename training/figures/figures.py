"""A set of generated videos: articulated figures, each doing one action or several, with flow, pose and mask.

    made = make_figures(Path("data/figures"), FigureSettings())         # trimmed: one action in each video
    made = make_figures(Path("data/untrimmed"), UntrimmedSettings())    # several, and annotations.json says when
    made = make_figures(Path("data/street"), StreetSettings())          # as strangers film them, see `street`

The folder is a data set like any other (`manifest.csv`, `videos/`, `views/`). Bodies, clothes, cameras, pace and
backgrounds are random and independent of the action; no body and no background is in both splits. `generator.json`
keeps the settings; it is written last, so its presence says that the set was finished once.
"""

import csv
import json
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from cocon.core.atomic import replacing
from cocon.core.errors import CoconError, UsageError
from cocon.training.figures.filming import STORED_VIEWS, film_to_folder, video_path
from cocon.training.figures.planning import VideoPlan, plan_videos
from cocon.training.figures.settings import FigureSettings, StreetSettings, UntrimmedSettings
from cocon.training.figures.street.recording import record_to_folder
from cocon.training.figures.street.scenes import StreetPlan, plan_street
from cocon.training.figures.untrimmed import plan_untrimmed_videos, write_annotations
from cocon.video.store.files import view_path
from cocon.video.workers.cores import num_cores

__all__ = ["MadeFigures", "make_figures"]

# Raised when the same settings of a generator start to give other videos or views; 1 where it is not named.
_VERSIONS = {"street": 4}
_RECORD, _UNFINISHED_RECORD = "generator.json", "generator.unfinished.json"
_MANIFEST, _ANNOTATIONS = "manifest.csv", "annotations.json"
_Plan = VideoPlan | StreetPlan
_COLUMNS = ("video_id", "path", "label", "group", "split")


@dataclass(frozen=True, slots=True)
class MadeFigures:
    """What `make_figures` found and did: videos in the set, and how many of them it had to make."""

    num_videos: int
    num_made: int


def make_figures(
    root: Path,
    settings: FigureSettings,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> MadeFigures:
    """Make a set, or what is missing of it.

    Args:
        root: The data set's folder.
        settings: What to make; equal settings give equal bytes, whatever the number of workers.
        workers: Processes; default: one per core.
        overwrite: Replace a set made with other settings.
        on_progress: Called with the videos done and wanted, first before any is made.

    Raises:
        UsageError: The folder holds a set of other settings or files that are no set, or `workers` is not positive.
        CoconError: A worker process was killed.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"workers ({workers}) must be at least 1")
    wanted = {"generator": settings.generator, "version": _VERSIONS.get(settings.generator, 1)} | asdict(settings)
    _claim(root, wanted, overwrite)
    plans = _planned(settings)
    lists = [_MANIFEST, _ANNOTATIONS] if isinstance(settings, UntrimmedSettings) else [_MANIFEST]
    missing = [plan for plan in plans if not all(path.exists() for path in _files(root, plan.video_id))]
    if missing or not all((root / name).exists() for name in [*lists, _RECORD]):
        root.mkdir(parents=True, exist_ok=True)
        with replacing(root / _UNFINISHED_RECORD) as partial:
            partial.write_text(json.dumps(wanted, indent=2) + "\n")
        there, workers = len(plans) - len(missing), workers or num_cores()
        _film_all(root, missing, settings, workers, lambda done: on_progress(there + done, len(plans)))
        _write_manifest(root, plans)
        if _ANNOTATIONS in lists:
            write_annotations(root / _ANNOTATIONS, [plan for plan in plans if isinstance(plan, VideoPlan)])
        (root / _UNFINISHED_RECORD).replace(root / _RECORD)
    return MadeFigures(len(plans), len(missing))


def _planned(settings: FigureSettings) -> Sequence[_Plan]:
    match settings:
        case StreetSettings():
            return plan_street(settings)
        case UntrimmedSettings():
            return plan_untrimmed_videos(settings)
        case _:
            return plan_videos(settings)


def _film(root: Path, plan: _Plan, settings: FigureSettings) -> None:
    if isinstance(plan, StreetPlan):
        record_to_folder(root, plan, settings.view_size_px)
    else:
        film_to_folder(root, plan, settings)


def _claim(root: Path, wanted: dict[str, object], overwrite: bool) -> None:
    """Make sure the folder is ours to write to."""
    if root.exists() and not root.is_dir():
        raise UsageError(f"output '{root}' is a file; give a folder")
    found = _read_record(root)
    if found is None and any(path.is_file() for path in root.rglob("*")):
        raise UsageError(f"output '{root}' holds files that were not generated here; give a new folder")
    if found is not None and found != wanted:
        differing = [name for name in wanted if found.get(name) != wanted[name]]
        if not overwrite:
            changes = ", ".join(f"{name} is {found.get(name)}, not {wanted[name]}" for name in differing)
            raise UsageError(f"'{root}' was made with other settings ({changes}); pass --overwrite to replace it")
        _remove_set(root)


def _read_record(root: Path) -> dict[str, object] | None:
    for name in (_RECORD, _UNFINISHED_RECORD):
        try:
            record = json.loads((root / name).read_text())
        except FileNotFoundError:
            continue
        except ValueError as error:
            raise UsageError(f"'{root / name}' is damaged ({error}); delete the folder '{root}'") from error
        if isinstance(record, dict):
            return record
        raise UsageError(f"'{root / name}' is damaged (no settings in it); delete the folder '{root}'")
    return None


def _remove_set(root: Path) -> None:
    """Delete the generated files, the records last, and nothing else."""
    folders = [("videos", "mp4"), *((f"views/{view}", "npz") for view in STORED_VIEWS)]
    patterns = [f"{folder}/{name}_*.{ending}" for folder, ending in folders for name in ("figure", "street")]
    for path in [path for pattern in patterns for path in root.glob(pattern)]:
        path.unlink()
    for name in (_MANIFEST, _ANNOTATIONS, _RECORD, _UNFINISHED_RECORD):
        (root / name).unlink(missing_ok=True)


def _files(root: Path, video_id: str) -> list[Path]:
    return [video_path(root, video_id), *(view_path(root, view, video_id) for view in STORED_VIEWS)]


def _write_manifest(root: Path, plans: Sequence[_Plan]) -> None:
    with replacing(root / _MANIFEST) as partial, partial.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for plan in plans:
            path = video_path(Path(), plan.video_id).as_posix()
            writer.writerow([plan.video_id, path, plan.label, plan.group, plan.split])


def _film_all(
    root: Path, plans: Sequence[_Plan], settings: FigureSettings, workers: int, on_progress: Callable[[int], None]
) -> None:
    on_progress(0)
    if not plans:
        return
    # Fresh processes: forking one that runs OpenCV's or Torch's threads can deadlock.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(plans)), context, _start_worker)
    try:
        jobs = [pool.submit(_film, root, plan, settings) for plan in plans]
        for done, job in enumerate(as_completed(jobs), start=1):
            job.result()
            on_progress(done)
    except BrokenProcessPool as error:
        raise CoconError("a process that makes videos was killed (out of memory?); run again to go on") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    # The parent takes Ctrl-C, lets the videos being made finish, and ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
