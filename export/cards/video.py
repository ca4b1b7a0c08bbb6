"""What the card of the model that takes whole videos says, in Markdown."""

from cocon.embedding.videos.call_record import CallRecord
from cocon.export.cards.card import Card, Tensor, render_card
from cocon.export.cards.record import TrainingRecord
from cocon.export.cards.texts import file_facts
from cocon.export.cards.training import learned_from, training_text
from cocon.export.repository.stage import Exported
from cocon.training.evaluation.recognition.metrics import FUSED, LEARNED

__all__ = ["video_card"]

_PARAMETERS = (
    "Parameters of a request: `views` (`rgb` unless it says others, with commas between them, or `all`), `overlap` "
    "(share of a clip that the next one repeats, from 0 to 0.9), `name` (what errors call the video) and `strict` "
    "(refuse damaged videos)."
)


def video_card(record: CallRecord, training: TrainingRecord | None, exported: Exported) -> str:
    """Card of the model.

    Args:
        record: what it calls.
        training: how that was trained; None if not known.
        exported: the file.
    """
    contracts = [encoder.contract for encoder in record.encoders.values()]
    weights = ", ".join(f"{view} {weight:.3g}" for view, weight in record.weights.items())
    called = ", ".join(f"`{each.model}` version {each.version}" for each in record.encoders.values())
    num_blocks = contracts[0].clip.num_blocks
    card = Card(
        title=exported.model,
        summary="Takes the bytes of a video file and gives a vector for each of its clips, with the times: decodes it, "
        f"makes the views, and calls {called}. For the backend `cocon_video` of this project. {_PARAMETERS}",
        facts=file_facts(exported) | {"fingerprint of all views": f"`{record.fusion.fingerprint}`", "weights": weights},
        tensors=(
            Tensor("video", "uint8", ("bytes",), "input: the file as it is"),
            Tensor("start_seconds", "float64", ("K",), "where each of K clips begins, after the first frame"),
            Tensor("end_seconds", "float64", ("K",), "where it ends"),
            Tensor("embedding", "float32", ("K", "D"), "unit-length vector of each clip, the views fused"),
            Tensor("blocks", "float32", ("K", num_blocks, "D"), "likewise of each block"),
            *([Tensor("probabilities", "float32", ("K", "L"), "of the labels")] if exported.num_labels else []),
            *(
                Tensor(f"embedding_{contract.view}", "float32", ("K", contract.vector_dim), "of that view alone")
                for contract in contracts
            ),
            Tensor("about", "string", (1,), "JSON: what the rows of all clips share, such as versions and fingerprint"),
        ),
        labels=record.fusion.labels,
        views=(_judged(training, record),),
        usage=[
            "cocon serve model_repository --detach",
            "python examples/video_grpc.py video.mp4",
            "client embed video.mp4      # the same vectors, decoded on this side",
        ],
        limits=[
            learned_from(training, contracts),
            "Vectors compare only with vectors of the same fingerprint, which `about` names.",
            "A view that a video cannot give is left out, and said in `about`.",
        ],
        training=training_text(training, contracts) if training else "The cards of the views say how each was trained.",
    )
    return render_card(card, training)


def _judged(training: TrainingRecord | None, record: CallRecord) -> str:
    """Which figures are those of its vectors."""
    if len(record.encoders) == 1:
        return next(iter(record.encoders))
    contracts = [encoder.contract for encoder in record.encoders.values()]
    return LEARNED if training and training.fusion_weights(contracts) else FUSED
