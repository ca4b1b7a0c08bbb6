"""The encoders that a repository will have after an export: those that are there, and those that come."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cocon.embedding.config_files import tensors_of
from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import ENCODER
from cocon.embedding.repository import latest_version
from cocon.export.cards.record import TrainingRecord
from cocon.export.repository.folder import newest_contract
from cocon.export.sources import ViewSource
from cocon.video.views import VIEWS

__all__ = ["PresentEncoders", "newest_version"]


@dataclass(frozen=True, slots=True)
class PresentEncoders:
    """Encoders of views, and what is known of them together.

    Attributes:
        contracts: theirs, views in alphabetical order.
        training: that all of them come from, as far as this export knows.
        lacking: outputs `<name>_<view>` that encoders which are there, and stay, do not give: they came later.
    """

    contracts: tuple[ModelContract, ...]
    training: TrainingRecord | None
    lacking: frozenset[str]

    @classmethod
    def of(cls, sources: Sequence[ViewSource], repository: Path) -> Self:
        """Look what is there.

        Args:
            sources: what comes.
            repository: where to.

        Raises:
            MismatchError: a model that is there cannot be read.
        """
        contracts = {view: newest_contract(repository, ENCODER, view) for view in VIEWS}
        contracts |= {source.contract.view: source.contract for source in sources}
        present = tuple(contract for _, contract in sorted(contracts.items()) if contract is not None)
        kept = [contract for contract in present if contract.view not in {source.contract.view for source in sources}]
        return cls(present, _common_training(sources, present), frozenset(_lacking(kept, repository)))

    @property
    def learned(self) -> Mapping[str, float] | None:
        """View → weight, as it was learned; None where it was not."""
        return self.training.fusion_weights(self.contracts) if self.training else None


def newest_version(folders: Sequence[Path], model: str) -> int:
    """Of a model, in the first folder that has one."""
    found = (latest_version(folder / model) for folder in folders)
    return next(version for version in found if version is not None)


def _lacking(contracts: Sequence[ModelContract], repository: Path) -> Iterator[str]:
    """Outputs `<name>_<view>` that encoders which are there, and stay, do not give: they came later."""
    for contract in contracts:
        model = repository / ENCODER.name(contract.view)
        config = tensors_of(model, newest_version([repository], model.name))
        given = {output.name for output in config.output}
        yield from (f"{name}_{contract.view}" for name in contract.output_shapes if name not in given)


def _common_training(sources: Sequence[ViewSource], present: Sequence[ModelContract]) -> TrainingRecord | None:
    """The training that all views of the repository come from, as far as this export knows."""
    trainings = [source.training for source in sources]
    known = trainings[0] if trainings and all(training == trainings[0] for training in trainings) else None
    if known is None:
        return None
    trained = {**known.encoders, **{source.contract.view: source.contract.fingerprint for source in sources}}
    return known if all(trained.get(contract.view) == contract.fingerprint for contract in present) else None
