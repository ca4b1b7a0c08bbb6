"""Filters as expressions of Milvus: they mean at least the places that filters do, and what they find is checked again.

Labels, paths and metadata may be any text. What an expression compares with is a digest, hexadecimal digits or a
number, so nothing that anybody writes into a label can become a part of an expression. Numbers count as numbers however
they are written, as in `Condition`; what cannot be said in digests, such as the order of texts, is left to the check.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence

from cocon.client.index.catalogue.moments import MOMENTS_KEY
from cocon.client.index.query.conditions import Condition, plain_text
from cocon.client.index.query.filters import Filters
from cocon.client.index.query.path_globs import PathGlob

__all__ = ["any_of", "label_of", "path_of", "places_expression", "terms_of", "timely_expression"]

# From here on not every whole number is one of float64.
_MAX_EXACT = 1 << 53
_PREFIX_BYTES = 512
_KEY_LETTERS, _LABEL_LETTERS = 16, 32
_PARTS = "parts"


def label_of(label: str | None) -> str:
    """What stands for a label; empty for none."""
    return _digest(label, _LABEL_LETTERS) if label else ""


def path_of(path: str) -> str:
    """What stands for a path: the bytes that it begins with, as hexadecimal digits."""
    return path.encode()[:_PREFIX_BYTES].hex()


def terms_of(metadata: Mapping[str, object]) -> dict[str, float | str]:
    """What stands for metadata: of each key its number, or the digest of its text; and whether parts have labels."""
    terms = {_key(key): _term(value) for key, value in metadata.items() if key != MOMENTS_KEY}
    return terms | {_PARTS: 1.0} if MOMENTS_KEY in metadata else terms


def places_expression(filters: Filters) -> str:
    """The places that meet filters, without regard to time, and maybe others."""
    clauses = ['kind == "place"']
    labelled = [_one_of("label", map(_asked_label, filters.labels))] if filters.labels else []
    if filters.not_labels:
        labelled.append(f"not ({_one_of('label', map(_asked_label, filters.not_labels))})")
    if labelled:  # or a part of the video is
        clauses.append(f'({" and ".join(labelled)}) or terms["{_PARTS}"] == 1.0')
    if filters.paths:
        prefixes = [path_of(PathGlob.parse(text).prefix) for text in filters.paths]
        clauses.append(" or ".join(f'path like "{prefix}%"' for prefix in prefixes))
    clauses += filter(None, map(_condition, filters.where))
    return " and ".join(f"({clause})" for clause in clauses)


def timely_expression(filters: Filters) -> str:
    """The clips of the time that filters ask for; empty for all."""
    clauses = []
    if filters.from_seconds is not None and math.isfinite(filters.from_seconds):
        clauses.append(f"end_seconds > {float(filters.from_seconds)!r}")
    if filters.to_seconds is not None and math.isfinite(filters.to_seconds):
        clauses.append(f"start_seconds < {float(filters.to_seconds)!r}")
    return " and ".join(clauses)


def any_of(video_ids: Sequence[int]) -> str:
    """The rows of some videos."""
    return f"video_id in [{', '.join(str(int(video_id)) for video_id in video_ids)}]"


def _asked_label(label: str | None) -> str:
    return label_of(plain_text(label or ""))


def _one_of(field: str, digests: Iterable[str]) -> str:
    return f"{field} in [{', '.join(f'{chr(34)}{digest}{chr(34)}' for digest in digests)}]"


def _condition(condition: Condition) -> str | None:
    """What a condition asks of terms; None where they cannot tell."""
    key = f'terms["{_key(plain_text(condition.key))}"]'
    asked = _term(plain_text(str(condition.value)))
    if condition.comparison == "!=":
        return None
    if isinstance(asked, str):
        return f'{key} == "{asked}"' if condition.comparison == "=" else None
    if not abs(asked) < _MAX_EXACT:
        return None
    return f"{key} {'==' if condition.comparison == '=' else condition.comparison} {asked!r}"


def _term(value: object) -> float | str:
    """A number, also where a text is one; else the digest of the text."""
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        found = json.loads(text)
        number = float(found) if isinstance(found, int | float) and not isinstance(found, bool) else math.nan
    except (ValueError, OverflowError, RecursionError):
        number = math.nan
    return number if math.isfinite(number) else _digest(text, _LABEL_LETTERS)


def _key(key: str) -> str:
    return f"k{_digest(key, _KEY_LETTERS)}"


def _digest(text: str, letters: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:letters]
