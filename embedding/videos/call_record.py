"""What the model that takes whole videos calls: which encoders, of which versions, and how their views are fused.

`cocon export` writes it as `cocon_video/<version>/video.json` and, for those who see a server and no folder, under
`video.<version>` in the parameters of `cocon_video`. The backend asks exactly what stands there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from cocon.core.errors import MismatchError
from cocon.embedding.contract import EMBEDDING, ModelContract
from cocon.embedding.fusion_record import FusionRecord
from cocon.embedding.open_model import outputs_given

__all__ = [
    "DEADLINE_KEY",
    "LIMITS_KEY",
    "VIDEO_BACKEND",
    "VIDEO_DEADLINE_S",
    "VIDEO_FILE",
    "VIDEO_KEY",
    "VIDEO_MODEL",
    "CallRecord",
    "CalledEncoder",
]

VIDEO_MODEL = "cocon_video"
VIDEO_BACKEND = "cocon_video"
VIDEO_FILE = "video.json"
VIDEO_KEY = "video"
"""Of the parameter that carries the record, before the version."""
LIMITS_KEY = "limits"
"""Of the parameter that says how much of a video is read before it is refused."""
DEADLINE_KEY = "deadline_s"
"""Of the parameter that says how long one video may take, in seconds; `VIDEO_DEADLINE_S` where there is none."""
VIDEO_DEADLINE_S = 600


@dataclass(frozen=True, slots=True)
class CalledEncoder:
    """A view's encoder, as it is called.

    Attributes:
        model: Its name.
        version: Its number.
        contract: Of that version.
        outputs: Those of the contract's outputs that it gives.
    """

    model: str
    version: int
    contract: ModelContract
    outputs: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        contract = json.loads(self.contract.to_json())
        return {"model": self.model, "version": self.version, "contract": contract, "outputs": list(self.outputs)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], *, source: str) -> Self:
        """The inverse of `to_dict`; raises `MismatchError` where the contract is damaged, `KeyError` and the like."""
        contract = ModelContract.from_json(json.dumps(content["contract"]), source=source)
        outputs = tuple(map(str, content["outputs"]))
        if absent := outputs_given(contract, outputs).keys() - set(outputs):
            raise ValueError(f"outputs {sorted(absent)} of view '{contract.view}' are missing")
        return cls(str(content["model"]), int(content["version"]), contract, outputs)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What a version of the model calls.

    Attributes:
        encoders: View → its encoder.
        weights: View → how much it counts, positive; only their ratios matter.
        max_batch_size: Most rows of one call of an encoder.
    """

    encoders: Mapping[str, CalledEncoder]
    weights: Mapping[str, float]
    max_batch_size: int

    @property
    def fusion(self) -> FusionRecord:
        """How its views are fused."""
        contracts = {view: encoder.contract for view, encoder in self.encoders.items()}
        labels = {contract.labels for contract in contracts.values()}
        return FusionRecord(
            {view: contract.fingerprint for view, contract in contracts.items()},
            self.weights,
            sum(contract.output_shapes[EMBEDDING][0] for contract in contracts.values()),
            labels.pop() if len(labels) == 1 else (),
        )

    def to_json(self) -> str:
        """All of it, as indented JSON."""
        encoders = {view: encoder.to_dict() for view, encoder in self.encoders.items()}
        content = {"encoders": encoders, "weights": dict(self.weights), "max_batch_size": self.max_batch_size}
        return json.dumps(content, indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, source: str = "video record") -> Self:
        """Read a record back.

        Args:
            text: What `to_json` wrote.
            source: Named in the error message.

        Raises:
            MismatchError: The text is no such record, or a contract in it is damaged.
        """
        try:
            content = json.loads(text)
            encoders = {
                str(view): CalledEncoder.from_dict(encoder, source=source)
                for view, encoder in content["encoders"].items()
            }
            if not encoders or any(view != encoder.contract.view for view, encoder in encoders.items()):
                raise ValueError(f"encoders of views {sorted(encoders)} have contracts of others")
            weights = {view: float(content["weights"][view]) for view in encoders}
            return cls(encoders, weights, int(content["max_batch_size"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise MismatchError(f"{source} is no record of a video model: {error!r}; export again") from error
