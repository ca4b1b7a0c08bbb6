"""Model cards: what a model is, how it was trained and what it is not for, in the Markdown that model hubs read.

Written from the contract, the parity figures and the training record by the template beside this module. The front
matter is YAML (its values are JSON, which YAML contains). Nothing in a card depends on when or where it is written.
Text of others, such as labels and names of folders, is shown as it is and never obeyed.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from cocon.core.printable import printable
from cocon.export.cards.record import TrainingRecord

__all__ = ["Card", "Tensor", "cell", "code", "plain", "render_card"]

_TAGS = ("video", "self-supervised-learning", "contrastive-learning", "multi-view", "cocon")
_LICENSES = {"apache-2.0": "Apache License 2.0."}
# Those that fit on a page; the file with the figures has them all.
_COLUMNS = ("probe_top1", "classifier_top1", "knn_top1", "R@1", "search_R@1", "R@5", "R@10")

# Of no width or of another direction: terminals obey some of them, and readers see none.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
# An underscore within a word means nothing in Markdown.
_MARKS = re.compile(r"[\\`*\[\]~$&<>|]|(?<![^\W_])_|_(?![^\W_])")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a model: its name, element type, shape and meaning."""

    name: str
    type: str
    shape: tuple[int | str, ...]
    what: str


@dataclass(frozen=True, slots=True)
class Card:
    """What is particular to one card.

    Attributes:
        title: name of the model.
        summary: what it is, in a sentence or two.
        facts: name → value, in order; values are Markdown.
        tensors: input and outputs.
        labels: class names; empty without a classifier.
        views: whose figures are shown; all of them if empty.
        purpose: what it is for.
        usage: command lines.
        limits: sentences.
        training: how it was trained, as Markdown.
        has_recipe: whether the settings of the training record are told.
        tags: for hubs.
    """

    title: str
    summary: str
    facts: Mapping[str, str]
    usage: Sequence[str]
    limits: Sequence[str]
    training: str
    tensors: Sequence[Tensor] = ()
    labels: Sequence[str] = ()
    views: Sequence[str] = ()
    purpose: str = "To find similar moments of videos, and to recognise the labels it was trained with."
    has_recipe: bool = True
    tags: Sequence[str] = _TAGS


def render_card(card: Card, training: TrainingRecord | None) -> str:
    """The card as Markdown with front matter.

    Args:
        card: what is particular to the model.
        training: how it was trained; None if not known.
    """
    license = printable(training.license) if training and training.license else None
    merits = training.merits_of(*card.views) if training else ()
    front_matter = {
        "license": license or "other",
        **({} if license else {"license_name": "set-by-who-trained-it"}),
        "library_name": "cocon",
        "tags": list(card.tags),
        "pipeline_tag": "video-classification" if card.labels else "feature-extraction",
    }
    return _template().render(
        card=card,
        training=training,
        front_matter=front_matter,
        merits=[*_chance(merits), *merits],
        columns=[name for name in _COLUMNS if any(name in row for row in merits)],
        license=license,
        license_text=_LICENSES.get(license or "", plain(license)),
    )


def _chance(merits: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What guessing reaches, as a row; nothing where figures were counted before that was."""
    found = {name: row[f"{name}_chance"] for row in merits for name in _COLUMNS if f"{name}_chance" in row}
    return [{"method": "chance", "view": "–", **found}] if found else []


def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("cocon.export.cards", "")
    environment = jinja2.Environment(
        loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=False, keep_trailing_newline=True, autoescape=False
    )  # Markdown, not HTML
    environment.filters |= {"cell": cell, "code": code, "figure": _figure, "plain": plain}
    return environment.get_template("card.md.jinja")


def _figure(value: object) -> str:
    """A figure of merit with one decimal; a dash where it was not counted."""
    return f"{value:.1f}" if isinstance(value, int | float) and math.isfinite(value) else "–"


def plain(text: object) -> str:
    """Text in one line without any meaning in Markdown or HTML, in a table or out of it."""
    return _MARKS.sub(lambda mark: _ENTITIES.get(mark[0], f"\\{mark[0]}"), _in_one_line(text))


def code(text: object) -> str:
    """Text as a code span; in a table, `cell` must follow."""
    line = _in_one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    edge = " " if not line or "`" in (line[0], line[-1]) else ""
    return f"{fence}{edge}{line}{edge}{fence}"


def cell(markdown: object) -> str:
    """Markdown that stays in one cell of a table."""
    return " ".join(str(markdown).split()).replace("|", "\\|")


def _in_one_line(text: object) -> str:
    line = printable(" ".join(str(text).split()))
    return _CONTROLS.sub(lambda control: control[0].encode("unicode_escape").decode(), line)
