"""What the cards of an encoder, of the fusion, of the ensemble and of a whole run say, each in Markdown."""

from collections.abc import Mapping, Sequence
from shlex import quote

from cocon.core.printable import printable
from cocon.embedding.contract import (
    BLOCK_LOGITS,
    BLOCKS,
    CLIP,
    EMBEDDING,
    LOGITS,
    PROBABILITIES,
    ModelContract,
)
from cocon.embedding.repository import ENSEMBLE, FUSE, ONNX_RUNTIME, VARIANTS, ModelFormat, model_name
from cocon.export.artefacts.parity import Parity
from cocon.export.cards.card import Card, Tensor, code, plain, render_card
from cocon.export.cards.record import TrainingRecord
from cocon.export.cards.training import learned_from, training_text
from cocon.export.models.fusion import Fusion
from cocon.export.repository.stage import Exported
from cocon.training.evaluation.recognition.metrics import FUSED, LEARNED
from cocon.video.geometry import Geometry

__all__ = ["encoder_card", "ensemble_card", "file_facts", "fuse_card", "parity_text", "run_card"]

_WHAT = {
    CLIP: "input: blocks of frames as bytes; scaling happens inside the model",
    EMBEDDING: "unit-length vector of the clip",
    BLOCKS: "unit-length vector of each block",
    LOGITS: "scores of the labels",
    BLOCK_LOGITS: "scores of the labels for each block, of which `logits` are made",
    PROBABILITIES: "weighted mean of the views' class probabilities",
}
_SHORT = {
    "repeat_last": "the last frame of a video shorter than a clip is repeated",
    "loop": "a video shorter than a clip starts again",
    "shrink": "a video shorter than a clip is sampled more densely",
}
_WEIGHED = {
    False: "Every view counts the same, however good it is.",
    True: "How much a view counts was found by `cocon evaluate` on the training videos alone, for the embedding; class "
    "probabilities are the mean with the same weights, while probe and classifier above are judged as "
    "docs/evaluation.md says.",
}
_ALMOST = (
    "Its vectors compare with those of the reference, whose fingerprint it has, and are almost but not quite the same; "
    'the figures under "How good" are of the reference. It was judged on the processor of the machine that exported it.'
)
_SEARCH = "To find similar moments of videos"
_DRAWN = (
    "Trained on drawn figures, not on filmed people, who look unlike them in RGB: a start for training on your own "
    "videos. `docs/results.md` says what such encoders are worth on filmed people.",
)


def encoder_card(
    contract: ModelContract, model_format: ModelFormat, training: TrainingRecord | None, exported: Exported
) -> str:
    """Card of one view's encoder in one format."""
    view = contract.view
    embeds = f"Embeds clips of view `{view}`: one unit-length vector per clip and one per block."
    usage = [f"cocon serve model_repository --detach   # hosts it as {exported.model}"]
    if model_format.backend == ONNX_RUNTIME:
        chosen = "".join(f" --model-format {name}" for name, each in VARIANTS.items() if each == model_format)
        usage.append(f"client embed --view {view}{chosen} video.mp4")
        usage += [f"client classify --view {view}{chosen} video.mp4"] if contract.labels else []
    else:
        usage.append(f"# for Triton's own clients; `client` asks for {model_name(view)}, the same encoder in ONNX")
    card = Card(
        title=exported.model,
        summary=f"{embeds} For {model_format.backend}; {_gate_text(exported, model_name(view))}",
        facts=file_facts(exported) | _contract_facts(contract),
        tensors=_contract_tensors(contract, model_format),
        labels=contract.labels,
        views=(view,),
        purpose=_purpose(contract.labels),
        usage=usage,
        limits=[*_limits([contract], training), *([_ALMOST] if model_format.is_variant else [])],
        training=training_text(training, [contract]),
    )
    return render_card(card, training)


def _gate_text(exported: Exported, reference: str) -> str:
    """The end of a sentence: what the gate of an encoder's file found."""
    if exported.fidelity is None:
        return parity_text(exported.parity)
    return f"a variant of {code(reference)}, compared with it: {plain(exported.fidelity)}."


def fuse_card(fusion: Fusion, training: TrainingRecord | None, exported: Exported) -> str:
    """Card of the model that fuses the views' vectors."""
    views = ", ".join(f"`{view}`" for view in fusion.weights)
    card = Card(
        title=exported.model,
        summary=f"Fuses the vectors of the views {views} inside the server: √w·e of every view, joined and brought to "
        f"unit length. A formula without trained weights; {parity_text(exported.parity, 'the formula in NumPy')}",
        facts=file_facts(exported) | {"weights": _weights(fusion)},
        tensors=[*_io(fusion.input_shapes, "float32", "input: what this view gave"), *_outputs(fusion)],
        labels=fusion.labels,
        views=(_judged(fusion),),
        purpose=f"Called by the ensemble `{ENSEMBLE}`.",
        usage=["client embed --view all video.mp4"],
        limits=[_WEIGHED[fusion.learned is not None], "All of its inputs must be given."],
        training="Nothing in it is trained; the cards of the views say how they were.",
        has_recipe=False,
    )
    return render_card(card, training)


def ensemble_card(fusion: Fusion, training: TrainingRecord | None, exported: Exported) -> str:
    """Card of the ensemble of all views."""
    fingerprints = {contract.view: contract.fingerprint for contract in fusion.contracts}
    facts = {f"fingerprint of `{view}`": f"`{fingerprint}`" for view, fingerprint in fingerprints.items()}
    facts |= {"fingerprint": f"`{fusion.record.fingerprint}`", "weights": _weights(fusion)}
    card = Card(
        title=exported.model,
        summary="Embeds the clips of all views at once: a Triton ensemble of the encoders "
        f"{', '.join(f'`{model_name(view)}`' for view in fusion.weights)} and `{FUSE}`, which computes nothing itself.",
        facts=file_facts(exported) | facts,
        tensors=[
            *_io(fusion.clip_shapes, "uint8", "input: the same moment in this view"),
            *_outputs(fusion),
            *_io(fusion.view_shapes, "float32", "what the view's own encoder gives"),
        ],
        labels=fusion.labels,
        views=(_judged(fusion),),
        purpose=_purpose(fusion.labels),
        usage=["cocon serve model_repository --detach", "client embed --view all video.mp4"],
        limits=[
            "Needs the clips of all its views; `client` fuses those that can be had by itself.",
            _WEIGHED[fusion.learned is not None],
            *_limits(fusion.contracts, training),
        ],
        training=training_text(training, fusion.contracts)
        if training
        else "The cards of the views say how each was trained.",
    )
    return render_card(card, training)


def run_card(name: str, contracts: Sequence[ModelContract], training: TrainingRecord, facts: Mapping[str, str]) -> str:
    """Card of a whole run, all of its views.

    Args:
        name: title.
        contracts: of its views.
        training: how it was trained.
        facts: what else is to be told, name → value.
    """
    first = contracts[0]
    of_views = {contract.view: _contract_facts(contract) for contract in contracts}
    shared = {
        key: text
        for key, text in of_views[first.view].items()
        if key not in _PER_VIEW and all(facts.get(key) == text for facts in of_views.values())
    }
    own = {
        f"`{view}`: {key}": text
        for view, facts in of_views.items()
        for key, text in facts.items()
        if key not in shared and key != "view"
    }
    views = ", ".join(f"`{contract.view}`" for contract in contracts)
    card = Card(
        title=name,
        summary=f"Video encoders of the views {views}, a run folder: export it, judge it, or train on from it.",
        facts=shared | dict(facts) | own,
        labels=first.labels,
        purpose=_purpose(first.labels),
        usage=[
            f"cocon export --run {quote(printable(f'path/to/{name}'))} --repository model_repository",
            "client embed --url local:model_repository video.mp4",
        ],
        limits=_limits(contracts, training),
        training=training_text(training, contracts),
    )
    return render_card(card, training)


_PER_VIEW = ("view", "geometry", "flow", "made by", "people found by", "fingerprint", "weights sha256")


def file_facts(exported: Exported) -> dict[str, str]:
    """Version and content of a model's file."""
    return {"version": str(exported.version), "sha256 of the file": f"`{exported.sha256}`"}


def parity_text(parity: Parity | None, reference: str = "the trained encoder in PyTorch") -> str:
    """The end of a sentence: how near the file came to what it stands for."""
    if parity is None:
        return "not compared with anything."
    batches = ", ".join(map(str, parity.batch_sizes))
    return (
        f"compared with {reference} at batch sizes {batches}: cosine at least {parity.min_cosine:.6f}, "
        f"largest difference {parity.max_abs_difference:.1e}."
    )


def _judged(fusion: Fusion) -> str:
    """Which figures are those of this fusion."""
    return FUSED if fusion.learned is None else LEARNED


def _purpose(labels: Sequence[str]) -> str:
    return f"{_SEARCH}, and to recognise the {len(labels)} labels above." if labels else f"{_SEARCH}."


def _weights(fusion: Fusion) -> str:
    return ", ".join(f"{view} {weight:.3g}" for view, weight in fusion.weights.items())


def _io(shapes: Mapping[str, tuple[int, ...]], type_name: str, what: str) -> list[Tensor]:
    return [Tensor(name, type_name, ("B", *shape), what) for name, shape in shapes.items()]


def _outputs(fusion: Fusion) -> list[Tensor]:
    return [Tensor(name, "float32", ("B", *shape), _WHAT[name]) for name, shape in fusion.output_shapes.items()]


def _contract_facts(contract: ModelContract) -> dict[str, str]:
    """Method, view, clip, geometry, architecture and identity of an encoder, in words."""
    clip, side = contract.clip, contract.geometry.crop_px
    step = f"one of every {clip.step_frames} source frames"
    if clip.step_seconds is not None:
        step = (
            f"one frame every {clip.step_seconds:.3g} s, so a clip covers {clip.step_seconds * clip.num_frames:.3g} s"
        )
    facts = {
        "method": plain(contract.method),
        "view": contract.view,
        "clip": f"{clip.num_blocks} blocks of {clip.frames_per_block} frames, {step}",
        "geometry": f"{_resized(contract.geometry)} resized to {contract.geometry.resize_px} px, "
        f"the middle {side} × {side} px cut out",
    }
    if (flow := contract.flow) is not None:
        facts["flow"] = (
            f"displacement over {flow.interval_seconds:.3g} s, by {flow.algorithm} at a short side of {flow.size_px} px"
        )
    if contract.made_by:
        facts["made by"] = plain(", ".join(contract.made_by))
    if contract.people_by:
        facts["people found by"] = plain(", ".join(contract.people_by))
    encoder = contract.encoder
    stages = f"{' + '.join(map(str, encoder.blocks_per_stage))} residual blocks, " if encoder.blocks_per_stage else ""
    return facts | {
        "encoder": f"{encoder.backbone}, {stages}width {encoder.width}",
        **_vector_facts(contract),
        "fingerprint": f"`{contract.fingerprint}`",
        "weights sha256": f"`{contract.weights_sha256}`",
    }


def _resized(geometry: Geometry) -> str:
    """What of a picture is resized, in words."""
    if (following := geometry.following) is None:
        return "short side"
    return (
        f"a square around people (by their {following.by}, {100 * following.margin:.3g} % more on each side, at least "
        f"{100 * following.least_share:.3g} % of the short side, mean of ± {following.smoothing_seconds:.3g} s; held "
        f"for {following.hold_seconds:.3g} s where nobody is found, then the middle square)"
    )


def _vector_facts(contract: ModelContract) -> dict[str, str]:
    """How many numbers a vector has, and why."""
    encoder, dim = contract.encoder, contract.embedding_dim
    facts = {"embedding dimension D": str(dim)}
    if encoder.cells > 1:
        facts["cells"] = f"a block keeps {encoder.cells} × {encoder.cells} places of the picture, so D = {dim} numbers"
    if encoder.pooling != "mean":
        facts["pooling"] = f"{encoder.pooling}: the vector of a clip has {contract.vector_dim} numbers"
    return facts


def _contract_tensors(contract: ModelContract, model_format: ModelFormat) -> tuple[Tensor, ...]:
    """Input and outputs of an encoder, B clips at a time."""
    outputs = [
        Tensor(model_format.output_name(name, place), "float32", ("B", *shape), _WHAT[name])
        for place, (name, shape) in enumerate(contract.output_shapes.items())
    ]
    return (Tensor(CLIP, "uint8", ("B", *contract.clip_shape), _WHAT[CLIP]), *outputs)


def _limits(contracts: Sequence[ModelContract], training: TrainingRecord | None) -> list[str]:
    """What a user of these encoders must know, in sentences."""
    first = contracts[0]
    limits = [
        learned_from(training, contracts),
        "Vectors compare only with vectors of the same fingerprint.",
        f"{_SHORT[first.clip.short_video].capitalize()}.",
    ]
    if first.labels:
        limits.append(f"The classifier knows {len(first.labels)} labels and gives every clip one of them.")
    if training and training.generator:
        limits += _DRAWN
    return limits + list(dict.fromkeys(c.view_spec.caveat for c in contracts if c.view_spec.caveat))
