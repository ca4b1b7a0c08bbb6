"""What is chosen for a data set and a machine: settings on top of the preset `people`, and why, in a few lines.

    choice = choose(survey, machine, start, base, fixed={"training.seed"})
    choice.settings         # ["views=['rgb', 'flow']", "view.rgb.crop_px=64", ...]
    choice.lines            # what to tell whoever trains

The rules are plain: what the videos hold, what of it the machine learns in minutes, and what is at hand to start from.
"""

import math
from collections.abc import Collection
from dataclasses import replace

from cocon.core.printable import printable
from cocon.training.choosing.choice import Choice, Machine, is_set
from cocon.training.choosing.starting_points import StartingPoint
from cocon.training.choosing.survey import DataSurvey
from cocon.training.config.files import path_setting
from cocon.training.config.run import Config
from cocon.training.data.stretches.counts import clips_within
from cocon.training.data.stretches.draws import steps_per_epoch
from cocon.training.run_folder.warm_start import named_sources
from cocon.video.clips import ClipSpec
from cocon.video.estimation.flow import FlowSpec
from cocon.video.views import VIEWS

__all__ = ["choose", "views_of"]

# So high people are at least in the pictures that are cut out of.
_PERSON_PX = 30
_SIZES_PX = (48, 64, 80, 96, 112, 128)
_UNKNOWN_PX, _MOST_PX = {False: 64, True: 112}, {False: 96, True: 128}
# A picture is resized to about eight sevenths of what is cut out of it.
_RESIZE_SHARE = 8 / 7
# Where nobody is seen in most videos, a view of people says too little to be learned from.
_LEAST_PEOPLE = 0.5
# Smaller people are looked at through a window, of which they take about this share.
_SMALL_PEOPLE, _HEIGHT_IN_WINDOW = 0.45, 0.6
# A clip's step, where videos are long enough, and where they are much longer.
_STEP_S, _LONG_STEP_S, _LONG_S = 1 / 15, 0.1, 8.0
_LEAST_BLOCKS = 4
_BATCH_SIZES = {False: 16, True: 32}
# Passes over the footage, and bounds of what that makes.
_PASSES = 15
_LEAST_STEPS = 300
_MOST_STEPS = {False: 3000, True: 20000}
# Where there are labels to judge by: steps between two probes, and probes without a gain after which it ends.
_PROBE_STEPS, _PATIENCE = 100, 3
_MANY_CORES = 8
_AS_SEEN = "as the encoders to start from saw them"


def choose(
    survey: DataSurvey,
    machine: Machine,
    start: StartingPoint | None,
    base: Config,
    fixed: Collection[str],
    *,
    stored_flow: FlowSpec | None = None,
) -> Choice:
    """Choose for a data set.

    Args:
        survey: of its training videos.
        machine: what trains.
        start: encoders to start from, or None.
        base: the configuration without a choice, with the views that are to be trained.
        fixed: keys that are set already, whose values are those of `base`.
        stored_flow: what the flow that is stored measures, if it is all alike.
    """
    choice = Choice(fixed)
    clip = _clip(choice, survey, start, base)
    _pictures(choice, survey, machine, start, base)
    _flow(choice, start, base, stored_flow)
    _networks(choice, machine, start, base)
    _length(choice, survey, machine, base, clip)
    return choice


def views_of(
    survey: DataSurvey, asked: Collection[str], least_share: float, *, is_made_here: bool
) -> tuple[list[str], list[str]]:
    """Views to train, and why others are left out.

    Args:
        survey: of the training videos.
        asked: views that may be trained.
        least_share: of the videos, that must have a view which nobody makes while they are decoded.
        is_made_here: whether views of people are made while videos are decoded, where none is stored.
    """
    taken, why = [], dict[str, list[str]]()
    for view in asked:
        maker, share = VIEWS[view].maker, survey.stored.get(view, 0.0)
        if maker in ("decoding", "flow") or (maker == "people" and is_made_here):
            taken.append(view)
        elif share < least_share:
            if share or maker != "user":
                reason = f"stored for {share:.0%} of the videos" if share else "not stored"
                why.setdefault(reason, []).append(view)
        elif maker == "people" and survey.people is not None and survey.people.share < _LEAST_PEOPLE:
            why.setdefault(f"nobody is seen in {1 - survey.people.share:.0%} of the videos", []).append(view)
        else:
            taken.append(view)
    return taken, [f"{', '.join(views)} ({reason})" for reason, views in why.items()]


def _clip(choice: Choice, survey: DataSurvey, start: StartingPoint | None, base: Config) -> ClipSpec:
    """Blocks and step: those of the encoders to start from, or else by length; shorter where videos are short."""
    clip = base.clip.spec()
    if not base.is_predictive or clip.step_seconds is None:
        return clip
    blocks, step = clip.num_blocks, _LONG_STEP_S if survey.shortest_seconds >= _LONG_S else _STEP_S
    if start is not None:
        first = next(iter(start.contracts.values())).clip
        blocks, step = first.num_blocks, first.step_seconds or step
    blocks = base.clip.num_blocks if is_set("clip.num_blocks", choice.fixed) else blocks
    frame_s, room = 1 / (survey.rate or math.inf), survey.shortest_seconds or math.inf
    step = max(step, frame_s) if start is None else step
    why = _AS_SEEN if start is not None else f"videos of {room:.2g} s and more hold that"
    if not _stays(start, base) and blocks * clip.frames_per_block * step > room:
        why = f"a tenth of the videos are shorter than {room:.2g} s"
        least = min(blocks, max(_LEAST_BLOCKS, base.model.num_predicted + 1))
        blocks = max(least, int(room / (clip.frames_per_block * step)))
        longest = math.floor(1e6 * room / (blocks * clip.frames_per_block)) / 1e6
        step = min(step, max(frame_s, longest))
    blocks = choice.set("clip.num_blocks", blocks, base.clip.num_blocks)
    step = choice.set("clip.step_seconds", step, clip.step_seconds)
    seconds = blocks * clip.frames_per_block * step
    choice.say(
        f"clips of {seconds:.2g} s, {blocks} blocks of {clip.frames_per_block} frames {step:.3f} s apart: {why}",
        "clip.num_blocks", "clip.step_seconds",
    )  # fmt: skip
    return ClipSpec(num_blocks=blocks, frames_per_block=clip.frames_per_block, step_seconds=step)


def _pictures(choice: Choice, survey: DataSurvey, machine: Machine, start: StartingPoint | None, base: Config) -> None:
    people, least = survey.people, _seen_px(start)
    if people is not None and people.height and people.share >= _LEAST_PEOPLE and not _stays(start, base):
        if people.height < _SMALL_PEOPLE and not is_set("following.by", choice.fixed):
            choice.set("following.by", people.by)
            choice.say(f"looks at the window around people ({people.by}), {people.height:.0%} of a picture's height")
            people = replace(people, height=_HEIGHT_IN_WINDOW)
        wanted = _PERSON_PX / people.height / _RESIZE_SHARE
        why = f"people take {people.height:.0%} of their height, and are found in {people.share:.0%} of the videos"
    elif start is not None:
        wanted, why = least, _AS_SEEN
    else:
        wanted, why = _UNKNOWN_PX[machine.has_gpu], "how large people are is not known"
    most = min(_MOST_PX[machine.has_gpu], min(survey.shape) or _SIZES_PX[-1])
    fitting = [size for size in _SIZES_PX if size <= max(most, _SIZES_PX[0])]
    side = max(least, next((size for size in fitting if size >= wanted), fitting[-1]))
    keys = [f"view.{view}.{key}" for view in base.views for key in ("resize_px", "crop_px")]
    for view in base.views:
        if not any(is_set(f"view.{view}.{key}", choice.fixed) for key in ("resize_px", "crop_px")):
            choice.set(f"view.{view}.resize_px", 2 * math.ceil(side * _RESIZE_SHARE / 2))
            choice.set(f"view.{view}.crop_px", side)
    choice.say(f"pictures of {side} px: {why}", *keys)


def _seen_px(start: StartingPoint | None) -> int:
    """What the encoders to start from saw; 0 without."""
    return max(contract.geometry.crop_px for contract in start.contracts.values()) if start is not None else 0


def _stays(start: StartingPoint | None, base: Config) -> bool:
    """Whether encoders stay as they are, so that they must see what they saw."""
    return start is not None and base.training.epochs == 0


def _flow(choice: Choice, start: StartingPoint | None, base: Config, stored: FlowSpec | None) -> None:
    """Flow is what is stored, or else what the encoder to start from saw."""
    if "flow" not in base.views:
        return
    contract = start.contracts.get("flow") if start is not None else None
    flow = stored or (contract.flow if contract is not None else None)
    if flow is not None:
        choice.set("flow.size_px", flow.size_px)
        choice.set("flow.interval_seconds", flow.interval_seconds)
        choice.set("flow.algorithm", flow.algorithm)


def _networks(choice: Choice, machine: Machine, start: StartingPoint | None, base: Config) -> None:
    if start is not None:
        if not named_sources(base):  # a run that is named for one view is none for the others
            widths = (
                f"{view} of width {contract.encoder.width} ({contract.vector_dim:,} numbers a clip)"
                for view, contract in start.contracts.items()
            )
            choice.settings.append(path_setting("training.init_from", start.run))
            choice.say(f"starts from the encoders in '{printable(start.run)}': {', '.join(widths)}")
        return
    if machine.has_gpu:
        depth, width = "resnet18", 64
    else:
        depth, width = "resnet10", 32 if machine.cores >= _MANY_CORES else 16
    depth = choice.set("model.depth", depth, base.model.depth)
    width = choice.set("model.width", width, base.model.width)
    choice.say(f"networks from nothing, {depth} of width {width}, for {machine}", "model.depth", "model.width")


def _length(choice: Choice, survey: DataSurvey, machine: Machine, base: Config, clip: ClipSpec) -> None:
    batch = base.training.batch_size
    if not is_set("training.batch_size", choice.fixed):
        batch = _BATCH_SIZES[machine.has_gpu and survey.num_videos >= 4 * _BATCH_SIZES[True]]
        batch = min(batch, max(2, survey.num_videos * 3 // 4 // 2 * 2))  # some may be held out
        choice.set("training.batch_size", batch)
    clips_per_video = choice.set("training.clips_per_video", "auto", base.training.clips_per_video)
    choice.set("training.precision", "auto")
    counts = clips_within(survey.lengths, clip)
    if isinstance(clips_per_video, int):
        counts = (clips_per_video,) * len(counts)
    share = survey.num_videos / max(1, len(counts))
    per_epoch = max(1, round(steps_per_epoch(len(counts), batch, counts) * share)) if counts else 1
    if any(is_set(key, choice.fixed) for key in ("training.epochs", "training.steps")):
        return
    steps = max(_LEAST_STEPS, min(math.ceil(_PASSES * per_epoch / 10) * 10, _MOST_STEPS[machine.has_gpu]))
    choice.set("training.steps", steps)
    choice.set("training.least_steps", _LEAST_STEPS)
    is_judged = base.training.probe_every_epochs > 0 or not is_set("training.probe_every_epochs", choice.fixed)
    if survey.can_judge and is_judged:
        every = max(1, round(max(_PROBE_STEPS, steps / 10) / per_epoch))
        choice.set("training.probe_every_epochs", every)
        choice.set("training.early_stop", _PATIENCE)
    choice.say(f"{steps} steps of {batch} clips: {_why_so_long(steps, per_epoch)}")


def _why_so_long(steps: int, per_epoch: int) -> str:
    once = f"the footage once is {per_epoch} step{'s' if per_epoch > 1 else ''}"
    if per_epoch * _PASSES < _LEAST_STEPS:
        return f"{once}, and fewer than {_LEAST_STEPS} steps are too few to learn from"
    return f"{once}, so it is seen about {max(1, round(steps / per_epoch))} times"
