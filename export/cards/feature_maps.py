"""What the card of a model of feature maps says, in Markdown."""

from cocon.embedding.contract import ModelContract
from cocon.embedding.repository import model_name
from cocon.embedding.tracking.feature_maps import FEATURE_MAP, FRAMES, FeatureMapContract
from cocon.export.cards.card import Card, Tensor, plain, render_card
from cocon.export.cards.record import TrainingRecord
from cocon.export.cards.texts import file_facts, parity_text
from cocon.export.cards.training import learned_from, training_text
from cocon.export.repository.stage import Exported

__all__ = ["feature_map_card"]


def feature_map_card(
    contract: FeatureMapContract, encoder: ModelContract, training: TrainingRecord | None, exported: Exported
) -> str:
    """Card of a view's feature maps.

    Args:
        contract: of the maps.
        encoder: of the encoder whose stage they are.
        training: how that was trained; None if not known.
        exported: the file.
    """
    side, cells = contract.size_px, contract.map_shape[0]
    card = Card(
        title=exported.model,
        summary=f"Feature maps of single frames of view `{contract.view}`: what {cells} × {cells} places of a picture "
        "look like, for following things through a video. "
        f"Stage `{contract.stage}` of the encoder `{model_name(contract.view)}`. "
        f"For onnxruntime; {parity_text(exported.parity)}",
        facts={
            **file_facts(exported),
            "method": plain(encoder.method),
            "view": contract.view,
            "frames": f"the whole picture, brought to {side} × {side} px whatever its shape",
            "stage": contract.stage,
            "cells": f"one per {contract.stride_px} × {contract.stride_px} px, the first centred on the first pixel",
            "fingerprint of the encoder": f"`{contract.fingerprint}`",
        },
        tensors=(
            Tensor(FRAMES, "uint8", ("B", *contract.frame_shape), "input: frames as bytes; scaling happens inside"),
            Tensor(FEATURE_MAP, "float32", ("B", *contract.map_shape), "unit-length vector of each cell"),
        ),
        views=(contract.view,),
        purpose="To follow a thing that is marked in one frame through those after it.",
        usage=["client track video.mp4 --box 40,30,80,120 --output tracked.mp4"],
        limits=[
            learned_from(training, [encoder]),
            "Figures of this card are of the encoder's embeddings; maps are judged by "
            "`cocon evaluate RUN --task tracking --data DIR`.",
            f"What is smaller than two cells, {2 / cells:.0%} of the picture's side, is hardly followed.",
            "Nothing here knows what a thing is: what looks like it is followed as well.",
        ],
        training=training_text(training, [encoder]),
    )
    return render_card(card, training)
