"""What a run measured while it was trained, sorted into panels of curves."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["CurvePanel", "curve_panels"]

Points = list[tuple[float, float]]

# Figure before the slash, as training logs it → title; others keep their own name.
_TITLES = {
    "loss": "Total loss",
    "cpc": "L_cpc per view",
    "sim": "L_sim per pair of views",
    "sync": "L_sync per pair of views",
    "top1": "Top-1 of the prediction per view",
    "spread": "Spread (near 1 healthy, 0 collapsed)",
    "learning_rate": "Learning rate",
}
_PHASES = {"pretrain": "", "classify": "Classifier: ", "probe": "Probe: "}
_PLACE = ("phase", "step", "epoch")


@dataclass(frozen=True, slots=True)
class CurvePanel:
    """Curves of one kind.

    Attributes:
        title: what is measured.
        lines: name, empty if there is only one → (epoch, value), in the order of training.
    """

    title: str
    lines: Mapping[str, Points]


def curve_panels(run: Path) -> list[CurvePanel]:
    """Panels of `metrics.jsonl`, one per phase and kind of figure; none if the run has no such file."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        return []
    panels: dict[tuple[str, str], dict[str, Points]] = {}
    for line in _lines(path):
        for name, value in line.items():
            if name not in _PLACE and isinstance(value, int | float):
                kind, _, member = name.partition("/")
                points = panels.setdefault((line["phase"], kind), {}).setdefault(member, [])
                points.append((float(line["epoch"]), float(value)))
    order = list(_TITLES)
    sorted_panels = sorted(panels, key=lambda key: (_rank(list(_PHASES), key[0]), _rank(order, key[1])))
    return [CurvePanel(_title(*key), panels[key]) for key in sorted_panels]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Complete lines; the last one of a machine that crashed while writing it is none."""
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and all(name in line for name in _PLACE):
            yield line


def _title(phase: str, kind: str) -> str:
    prefix = _PHASES.get(phase, f"{phase}: ")
    title = _TITLES.get(kind, kind) if phase == "pretrain" else kind.replace("_", " ")
    return f"{prefix}{title}"


def _rank(order: list[str], name: str) -> int:
    return order.index(name) if name in order else len(order)
