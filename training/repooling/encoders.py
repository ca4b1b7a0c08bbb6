"""The same trained network, its feature maps made into other vectors.

    encoder, contract = repooled(*run.encoder("rgb"), Way("thirds", cells=2))

Means over thirds of a clip and over places of the picture have no weights, so nothing is learned anew. A classifier
that was fitted to vectors of another form is left behind; a recurrent one sees whole feature maps and stays.
"""

from dataclasses import dataclass, replace

from cocon.embedding.contract import LEARNED_POOLING, EncoderSpec, ModelContract
from cocon.training.models.encoder import Encoder, build_encoder
from cocon.training.run_folder.view_files import weights_sha256

__all__ = ["WAYS", "Way", "repooled"]


@dataclass(frozen=True, slots=True)
class Way:
    """How feature maps become vectors; see `EncoderSpec`.

    Attributes:
        pooling: of the blocks of a clip.
        cells: places of the picture that a block keeps apart, cells × cells.
    """

    pooling: str
    cells: int

    def __str__(self) -> str:
        return f"{self.pooling}, {self.cells} × {self.cells} cells" if self.cells > 1 else self.pooling

    @classmethod
    def of(cls, spec: EncoderSpec) -> "Way":
        """That of an encoder."""
        return cls(spec.pooling, spec.cells)


WAYS = tuple(Way(pooling, cells) for cells in (1, 2) for pooling in ("mean", LEARNED_POOLING, "thirds"))
"""Those that are compared, the shortest vectors first."""


def repooled(encoder: Encoder, contract: ModelContract, way: Way) -> tuple[Encoder, ModelContract]:
    """A copy of an encoder that makes other vectors, in evaluation mode, and its contract.

    Args:
        encoder: not changed.
        contract: its contract.
        way: how feature maps are to become vectors.

    Returns:
        Copy and contract, without the classifier where it does not go with such vectors; a pooling that is learned has
        learned nothing yet (`fit_pooling`).
    """
    spec = replace(contract.encoder, pooling=way.pooling, cells=way.cells)
    has_classifier = bool(contract.labels) and (spec == contract.encoder or spec.classifier != "mean")
    labels = contract.labels if has_classifier else ()
    spec = spec if has_classifier else replace(spec, classifier="none")
    copied = build_encoder(spec, contract.view_spec, num_classes=len(labels))
    copied.normalise_by(encoder.normalisation)
    own, state = copied.state_dict(), encoder.state_dict()
    kept = {name: state.get(name, each) for name, each in own.items()}
    if way != Way.of(contract.encoder):  # a pooling that was learned of other vectors
        kept |= {name: each for name, each in own.items() if name.startswith("pooler.")}
    copied.load_state_dict(kept)
    return copied.eval(), replace(
        contract,
        encoder=spec,
        labels=labels,
        embedding_dim=copied.embedding_dim,
        weights_sha256=weights_sha256(copied),
    )
