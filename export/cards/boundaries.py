"""What the card of a boundary model says, in Markdown."""

from cocon.embedding.contract import BLOCKS, ModelContract
from cocon.embedding.locating.boundary_model import BOUNDARIES, NUM_BOUNDARIES
from cocon.embedding.repository import model_name
from cocon.export.cards.card import Card, Tensor, plain, render_card
from cocon.export.cards.record import TrainingRecord
from cocon.export.cards.texts import file_facts, parity_text
from cocon.export.repository.stage import Exported
from cocon.training.run_folder.boundary_heads import BoundaryRecord

__all__ = ["boundary_card"]


def boundary_card(
    record: BoundaryRecord, encoder: ModelContract, training: TrainingRecord | None, exported: Exported
) -> str:
    """Card of a view's boundary model.

    Args:
        record: of the head.
        encoder: contract of the encoder whose blocks it takes.
        training: of that encoder; None if not known.
        exported: the file.
    """
    contract, settings, dim = record.contract, record.settings, record.contract.embedding_dim
    # mAP is that of a probe which is not served; whoever names the segments here is another.
    figures = [f"{name} {value:.1f}" for name, value in record.figures.items() if not name.startswith("mAP")]
    card = Card(
        title=exported.model,
        summary=f"Says at every block of a video of view `{contract.view}` how likely an action starts, ends and goes "
        f"on there, from the blocks of `{model_name(contract.view)}`. "
        f"For onnxruntime; {parity_text(exported.parity, 'the trained head in PyTorch')}",
        facts={
            **file_facts(exported),
            "method of the encoder": plain(encoder.method),
            "view": contract.view,
            "hop": f"{contract.hop_frames} frames, one step apart, from a block of {encoder.clip.frames_per_block} "
            "frames to the next",
            "segments it is asked for": f"{contract.min_seconds:.3g} to {contract.max_seconds:.3g} s long",
            "segments of its validation videos found, %": plain(", ".join(figures)),
            "fingerprint of the encoder": f"`{contract.encoder_fingerprint}`",
            "weights sha256": f"`{contract.weights_sha256}`",
        },
        tensors=(
            Tensor(BLOCKS, "float32", ("B", "L", dim), "input: blocks in order of time, at this hop"),
            Tensor(BOUNDARIES, "float32", ("B", "L", NUM_BOUNDARIES), "probabilities of start, end and actionness"),
        ),
        views=(contract.view,),
        purpose="To find when actions begin and end in untrimmed videos.",
        usage=[f"client locate --view {contract.view} video.mp4"],
        limits=[
            "Blocks of another encoder mean nothing to it; `client` refuses them.",
            f"Knows actions like those of its {record.num_videos} training videos ({plain(record.data)}).",
            "Says when something happens, not what: a classifier or an index of labelled videos names it.",
        ],
        training=f"Convolutions over time on frozen blocks, {settings.epochs} epochs on the annotated training videos "
        f"of {plain(record.data)} with seed {settings.seed}: where actions start, end and go on, as in BSN (Lin et "
        "al., ECCV 2018). The card of the encoder says how that was trained.",
        has_recipe=False,
    )
    return render_card(card, training)
