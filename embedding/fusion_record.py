"""What a repository says of its fusion: which encoders, how much each counts, and whose vectors come of it.

`cocon export` writes it as `cocon/<version>/fusion.json` and, for those who see a server and no folder, under
`fusion.<version>` in the parameters of `cocon`. Whoever fuses by himself takes the weights from there:

    record = host.fusion()
    weights = record.weights_for({"flow": flow.contract.fingerprint, "rgb": rgb.contract.fingerprint})
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cocon.core.errors import MismatchError
from cocon.embedding.config_files import current_version
from cocon.embedding.contract import fused_fingerprint
from cocon.embedding.repository import ENSEMBLE, FUSION_FILE

__all__ = ["FUSION_KEY", "FusionRecord"]

FUSION_KEY = "fusion"
"""Of the parameter that carries the record, before the version."""


@dataclass(frozen=True, slots=True)
class FusionRecord:
    """Which encoders are fused, and how much each counts.

    Attributes:
        fingerprints: view → fingerprint of its encoder.
        weights: view → weight, positive, Σ = 1.
        embedding_dim: D of the fused embedding.
        labels: class names; empty unless all views agree on them.
    """

    fingerprints: Mapping[str, str]
    weights: Mapping[str, float]
    embedding_dim: int
    labels: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Identity of the fused embedding."""
        return fused_fingerprint(dict(self.fingerprints), dict(self.weights))

    def weights_for(self, fingerprints: Mapping[str, str]) -> dict[str, float]:
        """Weights of some of its views; only their ratios matter.

        Args:
            fingerprints: view → fingerprint of the encoder that is there.

        Raises:
            MismatchError: it is of other encoders than those.
        """
        for view, fingerprint in fingerprints.items():
            if self.fingerprints.get(view) != fingerprint:
                raise MismatchError(
                    f"the fusion '{ENSEMBLE}' is of another encoder of view '{view}' than '{ENSEMBLE}_{view}'; export "
                    "all views to one repository again"
                )
        return {view: self.weights[view] for view in fingerprints}

    def to_json(self) -> str:
        """All of it and the fused fingerprint, as indented JSON."""
        content = {
            "views": dict(self.fingerprints),
            "weights": dict(self.weights),
            "fingerprint": self.fingerprint,
            "embedding_dim": self.embedding_dim,
            "labels": self.labels,
        }
        return json.dumps(content, indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, source: str = "fusion") -> Self:
        """Read a record back and check that it is whole.

        Args:
            text: what `to_json` wrote.
            source: named in the error message.

        Raises:
            MismatchError: the text is no such record, or its fingerprint does not match its content.
        """
        try:
            content = json.loads(text)
            fingerprints = {str(view): str(fingerprint) for view, fingerprint in content["views"].items()}
            weights = {view: float(content["weights"][view]) for view in fingerprints}
            record = cls(fingerprints, weights, int(content["embedding_dim"]), tuple(map(str, content["labels"])))
            if not all(weight > 0 and math.isfinite(weight) for weight in weights.values()):
                raise ValueError(f"weights {weights} are not all positive")
            fingerprint = record.fingerprint
        except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise MismatchError(f"{source} is no record of a fusion: {error!r}; export again") from error
        if fingerprint != content.get("fingerprint"):
            raise MismatchError(f"{source} was changed after it was written (fingerprint differs); export again")
        return record

    @classmethod
    def current(cls, root: Path) -> Self | None:
        """That of a repository folder, of the version that callers are to take; None where it fuses nothing.

        Raises:
            MismatchError: the record is missing or damaged.
        """
        version = current_version(root, ENSEMBLE)
        if version is None:
            return None
        path = root / ENSEMBLE / str(version) / FUSION_FILE
        try:
            text = path.read_text("utf-8", errors="replace")
        except OSError as error:
            raise MismatchError(f"'{path}' cannot be read: {error.strerror}; export again") from error
        return cls.from_json(text, source=f"'{path}'")
