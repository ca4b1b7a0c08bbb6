"""Names in either normal form of Unicode: `é` is one character, or `e` and an accent, and looks the same."""

import os
import unicodedata
from pathlib import Path

__all__ = ["existing_form", "one_form"]


def one_form(name: str) -> str:
    """A name in the form that names which look the same share."""
    return unicodedata.normalize("NFC", name)


def existing_form(path: str) -> str:
    """The path of what is there by a name that looks the same, each part in either form; else the path as it is.

    What is there by exactly that name is meant by it.
    """
    if path.isascii() or os.path.lexists(path):  # False for any text
        return path
    first, *rest = Path(path).parts
    found = [form for form in _forms(first) if os.path.lexists(form)]
    for part in rest:
        named = [os.path.join(folder, form) for folder in found for form in _forms(part)]  # noqa: PTH118
        found = [name for name in named if os.path.lexists(name)]
    return found[0] if found else path


def _forms(part: str) -> list[str]:
    return list(dict.fromkeys([part, unicodedata.normalize("NFC", part), unicodedata.normalize("NFD", part)]))
