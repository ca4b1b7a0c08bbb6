"""Whose folder a run is: taken by one configuration, given up only when asked, never by something that is no run."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cocon.core.atomic import replacing
from cocon.core.errors import UsageError
from cocon.core.folder_lock import LOCK_FILE
from cocon.core.printable import printable
from cocon.training.config.input_sections import Section
from cocon.training.config.run import Config
from cocon.training.run_folder.files import EVALUATION_FILE, STATE_FILE, SUMMARY_FILE, VERDICT_FILE, RunFolder

__all__ = ["as_begun", "claim_run", "refuse_strangers", "refuse_to_go_on"]

# Keys that presets of earlier releases did not have: a run of theirs goes on with the defaults.
_NEW_IN_PRESETS = {"training": ("least_steps", "held_out_share", "guard"), "loss": ("centred",)}
# What counts for a classifier that is fitted at once.
_OF_FITTED = ("head", "mode", "labels_per_class")
# No video is that long.
_NEVER_CUT = "data.long_seconds=1e9"


def as_begun(config: Config, run: Path) -> Config:
    """A configuration with nothing in it that the release which began a run had no word for, so that the run goes on.

    Args:
        config: that is asked for.
        run: the folder; where no run is in it, the configuration stays as it is.

    Raises:
        UsageError: the configuration of the run cannot be read.
    """
    if not (run / "config.toml").is_file():
        return config
    sections = {}
    for section, names in _unknown(RunFolder.open(run).config).items():
        asked: Section = getattr(config, section)
        defaults = {name: type(asked).model_fields[name].default for name in names}
        sections[section] = asked.model_copy(update=defaults)
    return config.model_copy(update=sections)


def _unknown(begun: Config) -> dict[str, set[str]]:
    """Keys of each section that presets have now, and that the release which began a run had no word for."""
    return {
        section: {name for name in names if name not in getattr(begun, section).model_fields_set}
        for section, names in _NEW_IN_PRESETS.items()
    }


def claim_run(
    run: RunFolder,
    *,
    overwrite: bool,
    remedy: str = "choose another --output or add --overwrite",
    footage: Mapping[str, int | str] | None = None,
) -> None:
    """Make the run folder, or accept the one that is there.

    Args:
        run: the folder, with the configuration that is asked for.
        overwrite: replace what is there.
        remedy: ends the message of a refusal.
        footage: what there is to train on, see `RunFolder.footage`, for those who go on.

    Raises:
        UsageError: the folder holds a run with another configuration, or something that is no run, and `overwrite`
            was not asked for; or the run cannot go on, since its videos are cut otherwise now.
    """
    path, unknown = run.path / "config.toml", dict[str, set[str]]()
    if path.is_file():
        before = RunFolder.open(run.path)  # whose it is, even if it is replaced
        if overwrite:
            _empty(run.path)
        elif different := _differences(*_decisive(before, run.config)):
            raise UsageError(f"run '{run}' was made with another configuration ({'; '.join(different)}); {remedy}")
        else:
            unknown = _unknown(before.config)  # and stays so, or the same command would be refused the next time
            if footage is not None and not run.is_complete:
                _refuse_other_footage(run, footage, remedy)
    else:
        refuse_strangers(run.path)
    run.path.mkdir(parents=True, exist_ok=True)
    content = run.config.to_toml(unknown)
    if not path.is_file() or path.read_text() != content:
        with replacing(path) as partial:
            partial.write_text(content, encoding="utf-8")


def refuse_strangers(run: Path) -> None:
    """Raise `UsageError` if the folder holds something else than a run; the lock of one who trains is nothing."""
    is_run = not run.is_dir() or (run / "config.toml").is_file()
    if not is_run and any(entry.name != LOCK_FILE for entry in run.iterdir()):
        raise UsageError(f"'{run}' is not empty and no run; choose another --output")


def refuse_to_go_on(run: RunFolder) -> None:
    """Raise `UsageError` if the run has anything to go on from, for those who asked to begin anew."""
    if run.has_begun:
        raise UsageError(
            f"run '{run}' has begun already; go on with --resume auto, begin anew with --overwrite, "
            "or choose another --output"
        )


def _refuse_other_footage(run: RunFolder, footage: Mapping[str, int | str], remedy: str) -> None:
    known = run.footage
    if known is None or known == footage:
        return
    if not known:
        raise UsageError(
            f"run '{run}' has begun with whole videos, which are {footage['entries']} videos and stretches now; "
            f"go on with whole ones: --set {_NEVER_CUT}; or {remedy}"
        )
    now = f"{footage['entries']} with other boundaries" if footage else "none, for no video is long"
    raise UsageError(
        f"run '{run}' has begun with {known['entries']} videos and stretches, and now there are {now}: files were "
        f"added, taken out or changed; put them back, or {remedy}"
    )


def _decisive(run: RunFolder, new: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """What decides a run's results; how its data is read, and what of it may fail, does not.

    A precision that is left to the machine is that which the run was begun in.
    """
    old, asked = run.config.model_dump(mode="json"), new.model_dump(mode="json")
    if new.training.precision == "auto":
        asked["training"]["precision"] = old["training"]["precision"]
    elif run.config.training.precision == "auto":
        # Earlier releases did not write down which; none of them chose 16-mixed, whose scale a state then lacks.
        is_other = run.has_begun and new.training.precision == "16-mixed"
        old["training"]["precision"] = run.precision or ("auto" if is_other else new.training.precision)
    unlike = {"workers", "cache_gib", "max_failed_share"}
    if "long_seconds" not in run.config.data.model_fields_set:  # of a release that cut no videos
        unlike |= {"long_seconds", "stretch_seconds"}
    for settings in (old, asked):
        for key in unlike:
            del settings["data"][key]
    if new.classifier.is_fitted and run.config.classifier.is_fitted:  # how others are trained has no say in it
        for settings in (old, asked):
            settings["classifier"] = {key: settings["classifier"][key] for key in _OF_FITTED}
    return old, asked


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    different = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            different += _differences(before, after, f"{prefix}{key}.")
        elif before != after:
            different.append(printable(f"{prefix}{key} is {before}, asked for {after}"))
    return different


def _empty(run: Path) -> None:
    """Remove what a run consists of, and nothing else that may lie in the folder; the configuration goes last."""
    for name in ("views", "tensorboard"):
        shutil.rmtree(run / name, ignore_errors=True)
    for name in (SUMMARY_FILE, EVALUATION_FILE, VERDICT_FILE, STATE_FILE, "metrics.jsonl", "config.toml"):
        (run / name).unlink(missing_ok=True)
