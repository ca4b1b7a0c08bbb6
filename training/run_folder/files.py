"""The run folder: what training leaves behind, and how it is read back.

    run/config.toml                 the resolved configuration
    run/views/<view>/               weights.safetensors, contract.json, aggregator.safetensors, and once actions were
                                    located, boundary_head.safetensors and boundary_head.json
    run/metrics.jsonl, tensorboard/ what was measured on the way
    run/state.pt                    method, optimizer, random numbers, step: enough to go on bit for bit
    run/verdict.json                what it was good for on held-out videos, where any were held out
    run/complete.json               written last
    run/writer.lock                 locked, and not empty, while somebody trains

Every file appears whole or not at all, and none of them is a pickle: `state.pt` loads with `weights_only=True`.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from cocon.core.atomic import replacing
from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.core.texts.likely_names import did_you_mean_path
from cocon.embedding.contract import ModelContract
from cocon.training.boundary_head.network import BoundaryHead
from cocon.training.config.files import load_config
from cocon.training.config.run import Config
from cocon.training.models.encoder import Encoder
from cocon.training.run_folder.boundary_heads import BoundaryRecord, check_writable, read_head, write_head
from cocon.training.run_folder.length import TrainedLength
from cocon.training.run_folder.view_files import ViewFiles
from cocon.video.views import view_named

__all__ = ["EVALUATION_FILE", "STATE_FILE", "SUMMARY_FILE", "SUMS_FILE", "VERDICT_FILE", "RunFolder"]

STATE_FILE = "state.pt"
SUMMARY_FILE = "complete.json"
EVALUATION_FILE = "evaluation.json"  # figures of `cocon evaluate --json`, kept beside the run by who judges it
VERDICT_FILE = "verdict.json"  # figures on held-out videos at the end of training, beside untrained networks
SUMS_FILE = "SHA256SUMS"  # of a packed run, over every file in it

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run: the folder and its configuration, read once; what training adds meanwhile is looked up when asked for.

    Attributes:
        path: the folder; `str` of the run says it too.
        config: everything that decides the run.
    """

    path: Path
    config: Config

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Read the configuration of a run that is there.

        Raises:
            UsageError: the folder is no run.
        """
        if not (path / "config.toml").is_file():
            raise UsageError(
                f"'{path}' is no training run (no config.toml); make one with 'cocon train --output {path}'"
                f"{did_you_mean_path(path)}"
            )
        return cls(path, load_config(str(path / "config.toml")))

    def __str__(self) -> str:
        return str(self.path)

    @property
    def views(self) -> tuple[str, ...]:
        """Views whose encoders the run has saved, in the order of its configuration.

        Raises:
            UsageError: there is none yet.
        """
        views = tuple(view for view in self.config.views if self.files_of(view).has_encoder)
        if not views:
            raise UsageError(f"run '{self}' has saved no encoder yet; let 'cocon train --output {self}' go on")
        return views

    @property
    def method(self) -> str:
        """How its encoders were pre-trained, as their contracts say; joined by `+` where views differ."""
        return "+".join(dict.fromkeys(self.contract(view).method for view in self.views))

    @property
    def files(self) -> list[Path]:
        """What the run consists of, and not what others have put into its folder."""
        names = ("config.toml", "metrics.jsonl", STATE_FILE, SUMMARY_FILE, EVALUATION_FILE, VERDICT_FILE, SUMS_FILE)
        return [*(self.path / name for name in names), *(self.path / "views").rglob("*")]

    def files_of(self, view: str) -> ViewFiles:
        """What there is, or will be, of a view."""
        return ViewFiles(self.path / "views" / view)

    def contract(self, view: str) -> ModelContract:
        """The contract of a view's encoder; raises like `encoder`."""
        return self._saved(view).contract()

    def encoder(self, view: str) -> tuple[Encoder, ModelContract]:
        """Build the encoder of a view, in evaluation mode, on the CPU.

        Raises:
            UsageError: there is no such view.
            MismatchError: weights and contract do not belong together.
        """
        return self._saved(view).encoder()

    def save_encoder(self, encoder: Encoder, contract: ModelContract) -> None:
        """Write one view's weights and contract."""
        self.files_of(contract.view).save_encoder(encoder, contract)

    def keeps_boundary_heads(self, views: Iterable[str]) -> bool:
        """Whether the run takes heads of these views; a packed one does not, its sums would not cover them.

        Raises:
            UsageError: a folder cannot be written.
        """
        if (self.path / SUMS_FILE).is_file():
            return False
        for view in views:
            check_writable(self.path, self.files_of(view).folder)
        return True

    def boundary_head(self, view: str) -> tuple[BoundaryHead, BoundaryRecord] | None:
        """The boundary head of a view, in evaluation mode, on the CPU; None where the run has none.

        Raises:
            MismatchError: it is damaged, or was trained for another encoder than the run's.
        """
        return read_head(self.files_of(view))

    def save_boundary_head(self, head: BoundaryHead, record: BoundaryRecord) -> None:
        """Write a head and its record beside its encoder; those that are there are replaced.

        Raises:
            UsageError: the folder cannot be written.
        """
        write_head(self.path, self.files_of(record.contract.view).folder, head, record)

    def state(self) -> dict[str, Any] | None:
        """What training needs to go on; None where there is nothing to go on from.

        Raises:
            UsageError: it is damaged.
        """
        return self._loaded_state(is_mapped=False)

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Write it; only tensors and plain containers."""
        # Given a path, PyTorch does not say that a disk is full.
        with replacing(self.path / STATE_FILE) as partial, partial.open("wb") as stream:
            torch.save(dict(state), stream)

    @property
    def footage(self) -> dict[str, int | str] | None:
        """What the state was trained on, `Footage.facts`; empty if nothing was cut; None where there is no state.

        Raises:
            UsageError: the state is damaged.
        """
        state = self._loaded_state(is_mapped=True)
        return None if state is None else dict(state.get("footage", {}))

    @property
    def held_out(self) -> list[str] | None:
        """Ids of the training videos that the state was not trained on; None where there is no state.

        Raises:
            UsageError: the state is damaged.
        """
        state = self._loaded_state(is_mapped=True)
        return None if state is None else list(state.get("held_out", ()))

    @property
    def precision(self) -> Literal["32-true", "bf16-mixed", "16-mixed"] | None:
        """What the state was trained in; None where there is no state, or an earlier release wrote it.

        Raises:
            UsageError: the state is damaged.
        """
        state = self._loaded_state(is_mapped=True)  # reads no tensor
        return None if state is None else state.get("trained_in")

    @property
    def has_begun(self) -> bool:
        """Whether the run has a state to go on from, or is complete."""
        return (self.path / STATE_FILE).is_file() or self.is_complete

    @property
    def is_complete(self) -> bool:
        """Whether the run has nothing left to do."""
        return (self.path / SUMMARY_FILE).is_file()

    def mark_complete(self, summary: Mapping[str, Any]) -> None:
        """Record that nothing is left to do."""
        with replacing(self.path / SUMMARY_FILE) as partial:
            partial.write_text(json.dumps(dict(summary), indent=2) + "\n", encoding="utf-8")

    def save_verdict(self, verdict: Mapping[str, Any]) -> None:
        """Write what the training was good for, see `loop/verdict`."""
        with replacing(self.path / VERDICT_FILE) as partial:
            partial.write_text(json.dumps(dict(verdict), indent=1) + "\n", encoding="utf-8")

    def failures(self) -> tuple[dict[str, str], int]:
        """Id → reason of the videos that failed while a complete run was trained, and how many videos there were."""
        summary = self._summary()
        return dict(summary.get("failed", {})), int(summary.get("videos", 0))

    @property
    def length(self) -> TrainedLength:
        """How long the run was trained; while it is not complete, how long it is to be."""
        return TrainedLength.of(self._summary() if self.is_complete else {}, self.config)

    def warn_if_incomplete(self) -> None:
        """Say that what the run has saved is not its end."""
        if not self.is_complete:
            _logger.warning(
                "run '%s' is not complete: its encoders are those that it saved last; "
                "'cocon train --output %s' goes on", self, self,
            )  # fmt: skip

    def _summary(self) -> dict[str, Any]:
        return dict(json.loads((self.path / SUMMARY_FILE).read_text(encoding="utf-8")))

    def _loaded_state(self, *, is_mapped: bool) -> dict[str, Any] | None:
        place = self.path / STATE_FILE
        if not place.is_file():
            return None
        try:
            return dict(torch.load(place, map_location="cpu", weights_only=True, mmap=is_mapped))
        except OSError:
            raise
        except Exception as error:  # a damaged file makes torch raise almost anything
            raise UsageError(
                f"'{printable(place)}' is damaged, and run '{self}' cannot go on from it; begin anew with "
                "--overwrite, or choose another --output"
            ) from error

    def _saved(self, view: str) -> ViewFiles:
        name = view_named(view).name
        if name not in self.views:
            raise UsageError(f"run '{self}' has no encoder of view '{name}'; it has: {', '.join(self.views)}")
        return self.files_of(name)
