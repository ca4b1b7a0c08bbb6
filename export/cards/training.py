"""How encoders came to be, in the sentences of a card: trained here, started from, imported, or not trained at all."""

from collections.abc import Iterator, Sequence

from cocon.embedding.contract import ModelContract
from cocon.export.cards.card import cell, code, plain
from cocon.export.cards.record import EXACT_GENERATORS, SaidGains, TrainingRecord
from cocon.training.run_folder.length import TrainedLength
from cocon.training.run_folder.warm_start import RANDOM

__all__ = ["learned_from", "training_text"]

_RELEASED = {"cocon": "CoCon", "dpc": "DPC", "vicc": "ViCC", "vclr": "VCLR", "cyclecontrast": "CycleContrast"}
_PUBLIC_NAMES = "torchvision"  # files with its names, whoever trained them
_INFLATED = "resnet2d3d_inflated"
_JUDGE = "`cocon evaluate RUN --data YOURS --baseline flow-histogram`."
# What a verdict compares with, in words.
_OTHERS = {"untrained": "untrained networks", "start": "the encoders that it started from"}


def training_text(training: TrainingRecord | None, contracts: Sequence[ModelContract]) -> str:
    """How these encoders were trained, as Markdown.

    Args:
        training: of their run; None if not known.
        contracts: of the encoders that the card is about.
    """
    if training is None:
        return "Not recorded with the model."
    return " ".join(_trained(training, contracts)) if training.imported_from is None else _imported(training, contracts)


def learned_from(training: TrainingRecord | None, contracts: Sequence[ModelContract]) -> str:
    """A sentence on the videos behind these encoders, and what that means for others, as Markdown."""
    judge = "on other footage judge it first, beside what needs no network: " + _JUDGE
    if training is None:
        return f"Learned from its training data alone; {judge}"
    if training.imported_from is not None:
        return f"What it learned from is not known; judge it first, beside what needs no network: {_JUDGE}"
    if not _learns(training, contracts):
        if not training.started_from:
            return "It has learned nothing: good for comparison alone."
        return f"Learned from {_what_others_saw(training)}; {judge}"
    more = f" and {_what_others_saw(training)}" if training.started_from else ""
    return f"Learned from {code(training.data)}{more} alone; {judge}"


def _what_others_saw(training: TrainingRecord) -> str:
    names = training.started_from
    return f"what {_runs(names)} {'was' if len(names) == 1 else 'were'} trained on"


def _runs(names: Sequence[str]) -> str:
    return f"the {'run' if len(names) == 1 else 'runs'} {', '.join(map(code, names))}"


def _learns(training: TrainingRecord, contracts: Sequence[ModelContract]) -> bool:
    """Whether the run changed anything: a classifier is always trained by the run that has it."""
    has_labels = training.labels_left > 0 or any(contract.labels for contract in contracts)
    return training.length.epochs > 0 or has_labels


def _trained(training: TrainingRecord, contracts: Sequence[ModelContract]) -> Iterator[str]:
    if training.length.epochs:
        methods = ", ".join(dict.fromkeys(code(contract.method) for contract in contracts))
        start = f", starting from {_runs(training.started_from)}" if training.started_from else ""
        # Only a run that ended has counted its videos.
        ended = "" if training.num_videos is not None else "; interrupted, so of these only the first"
        yield f"Method {methods}, {training.length.said}{ended}, seed {training.seed}{start}."
    else:
        yield from _not_pretrained(training, contracts)
    if num_labels := max((len(contract.labels) for contract in contracts), default=0):
        how = (
            f" for {training.length.classifier_epochs} epochs"
            if training.length.classifier_epochs
            else ", fitted as a linear probe is"
        )
        classifier = f"classifier of {num_labels} labels{how}"
        if training.classifier_mode == "finetune":
            yield f"Fine-tuned together with a {classifier}."
        else:
            yield f"On top, a {classifier}; the encoders stayed as they were."
    elif training.labels_left:
        yield (
            f"Fine-tuned with the labels of the videos, {training.labels_left} of them, for "
            f"{training.length.classifier_epochs} epochs; the classifier knew other vectors and is not here."
        )
    if _learns(training, contracts):
        yield _data(training)
    if training.verdict is not None:
        yield from _judged(training.verdict, training.length)


def _judged(verdict: SaidGains, length: TrainedLength) -> Iterator[str]:
    """What the run said at its end, in a sentence; nothing where it compared nothing."""
    gains = [
        f"{points:+.1f} ± {error:.1f} points over {_OTHERS[over]}"
        for over, (points, error) in verdict.gains.items()
        if over in _OTHERS
    ]
    if gains:
        again = ", which also chose when to stop" if length.ended_by == "early_stop" else ""
        kept = "; so those were kept, and are these" if length.ended_by == "start" else ""
        yield (
            f"At its end, on {plain(verdict.judged_on)}{again}, probe top-1 and R@1 of all views on average: "
            f"{', '.join(gains)}{kept}."
        )


def _not_pretrained(training: TrainingRecord, contracts: Sequence[ModelContract]) -> Iterator[str]:
    """Weights without pre-training in this run: random, or those of the run that it started from."""
    untrained = [contract for contract in contracts if contract.method == RANDOM]
    started = [contract for contract in contracts if contract not in untrained]
    if started:
        methods = ", ".join(dict.fromkeys(code(contract.method) for contract in started))
        source = _runs(training.started_from or ("not recorded",))
        yield f"Not pre-trained here: {_views(started)} began with the weights of {source}, method {methods}."
    if untrained:
        yield f"Not pre-trained: {_views(untrained)} began with random weights, seed {training.seed}."


def _views(contracts: Sequence[ModelContract]) -> str:
    return ", ".join(code(contract.view) for contract in contracts)


def _data(training: TrainingRecord) -> str:
    videos = "" if training.num_videos is None else f", {training.num_videos:,} videos"
    exact = ": their flow, pose and mask are exact, not estimated" if training.generator in EXACT_GENERATORS else ""
    drawn = f" (generated figures{exact})" if training.generator else ""
    minutes = "" if training.minutes is None else f", {training.minutes:g} minutes in all"
    return f"Data set {code(training.data)}{videos}{drawn}{minutes}."


def _imported(training: TrainingRecord, contracts: Sequence[ModelContract]) -> str:
    source = training.imported_from or ""
    views = [contract.view for contract in contracts]
    rows = ["| view | file | sha256 | epoch |", "|---|---|---|---|"]
    for view in views:
        origin = training.origins.get(view, {})
        told = [origin.get("name", "not recorded"), origin.get("sha256", "not recorded"), origin.get("epoch")]
        name, sha256, epoch = (code("not said" if value is None else value) for value in told)
        rows.append(f"| {code(view)} | {cell(name)} | {cell(sha256)} | {cell(epoch)} |")
    notes = [
        "Not known: the videos, the seed and the settings that they were trained with, and the licence of the files "
        "unless it stands below."
    ]
    if "flow" in views:
        notes.append("The first layer of `flow` was scaled at import, to flow in pixels of the smaller picture.")
    notes += _notes_on_public_names(training, contracts)
    if estimated := [view for view in views if view in training.calibrated]:
        names = ", ".join(map(code, estimated))
        notes.append(
            f"The file of {names} has no statistics of batch normalisation; they were estimated on "
            f"videos of {code(training.calibrated_on or 'not recorded')}."
        )
    whose = f"of the released code of {_RELEASED.get(source, code(source))}"
    if source == _PUBLIC_NAMES:
        whose = "of published weights, whose tensors have the names of torchvision"
    return "\n".join(
        (
            f"Imported from files {whose}, not trained here.",
            "",
            *rows,
            "",
            " ".join(notes),
        )
    )


def _notes_on_public_names(training: TrainingRecord, contracts: Sequence[ModelContract]) -> Iterator[str]:
    """What such files need to have said of them: in whose form they are, whose licence holds, what was made of them."""
    if training.imported_from == _PUBLIC_NAMES:
        forms = dict.fromkeys(training.origins.get(contract.view, {}).get("form", "") for contract in contracts)
        if named := [form for form in forms if form not in ("", _PUBLIC_NAMES)]:
            yield f"The file is as {code(', '.join(named))} saves it."
        yield "Weights have a licence of their own, which whoever uses them must check where they were published."
    if any(contract.encoder.backbone.startswith(_INFLATED) for contract in contracts):
        yield (
            "Inflated from a network of pictures: the kernels of its last two stages were repeated over time, so it "
            "knows nothing of motion until it is trained on."
        )
