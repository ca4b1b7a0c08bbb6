"""Reading a configuration: a TOML preset or file, `section.key=value` overrides; unknown keys are errors.

Who says how long a training is (`training.epochs`, `training.steps`) means it: what a file says of its length, the
least number of steps too, then does not count.

A table `[for.METHOD]` of a file holds what differs for that method: `[for.vclr.model]` is `[model]` of VCLR, and
`[for."vclr cycle".model]` that of both. What is said further down counts.
"""

import copy
import json
import tomllib
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from cocon.core.errors import UsageError
from cocon.core.printable import escaped, in_one_line, printable
from cocon.core.texts.likely_names import did_you_mean, did_you_mean_path
from cocon.core.texts.text_files import read_text
from cocon.training.config.method_sections import METHODS
from cocon.training.config.run import Config
from cocon.video.views import VIEWS

__all__ = ["AUTO", "load_config", "path_setting", "preset_names", "set_keys"]

AUTO = "auto"
"""The preset that is chosen for the videos; without them it is what the choice begins with."""

# What a preset is called, or was called by earlier releases → its file.
_FILES = {AUTO: "people", "figures": "demo", "utd_mhad": "people"}
_OF_LENGTH = ("training.epochs", "training.steps", "training.least_steps")


def preset_names() -> tuple[str, ...]:
    """Names of the TOML files in `training/configs`, and `auto`."""
    entries = (entry.name for entry in files("cocon.training.configs").iterdir())
    return tuple(sorted([AUTO, *(name.removesuffix(".toml") for name in entries if name.endswith(".toml"))]))


def load_config(preset_or_path: str, overrides: Iterable[str] = ()) -> Config:
    """Read a preset or a TOML file and apply overrides.

    Args:
        preset_or_path: name of a preset, or path of a file ending in `.toml`.
        overrides: `section.key=value`; the value is TOML, or else a plain string.

    Raises:
        UsageError: no such preset or file, or any key or value is wrong; all wrong ones are named.
    """
    content = _for_method(_read(preset_or_path), tuple(overrides))
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"configuration '{printable(preset_or_path)}': {'; '.join(_problems(error))}") from error


def _read(preset_or_path: str) -> dict[str, Any]:
    try:
        if preset_or_path.endswith(".toml"):
            text = read_text(Path(preset_or_path), "configuration")
        elif preset_or_path in (*preset_names(), *_FILES):
            name = _FILES.get(preset_or_path, preset_or_path)
            text = (files("cocon.training.configs") / f"{name}.toml").read_text(encoding="utf-8")
        else:
            names = preset_names()
            known = f"available: {', '.join(names)}{did_you_mean(preset_or_path, names)}"
            raise UsageError(f"preset '{printable(preset_or_path)}' is unknown; {known}")
        return tomllib.loads(text)
    except OSError as error:
        likely = did_you_mean_path(Path(preset_or_path))
        raise UsageError(
            f"configuration '{printable(preset_or_path)}' cannot be read: {error.strerror}{likely}"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"configuration '{printable(preset_or_path)}' cannot be read: {in_one_line(error)}") from error


def path_setting(key: str, path: Path) -> str:
    """The override that sets a path, whatever it is called: `2024`, or no text at all."""
    quoted = json.dumps(escaped(path.as_posix()), ensure_ascii=False)  # the basic strings of TOML are those of JSON
    return f"{key}={quoted}".replace("\x7f", r"\u007f")


def set_keys(overrides: Iterable[str]) -> set[str]:
    """The keys that overrides set, such as `training.epochs`."""
    return {override.partition("=")[0].strip() for override in overrides}


def _for_method(content: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """What a file says for the method that it or the overrides name, and the overrides on top."""
    variants = content.pop("for", {})
    if not isinstance(variants, dict):
        raise UsageError("'for' is a value, not a section")
    method = _overridden(content, overrides).get("method", Config.model_fields["method"].default)
    for names, variant in variants.items():
        if unknown := sorted(set(names.split()) - METHODS.keys()):
            known = f"available: {', '.join(METHODS)}{did_you_mean(unknown[0], METHODS)}"
            raise UsageError(f"method '{printable(unknown[0])}' of table 'for' is unknown; {known}")
        if not isinstance(variant, dict):
            raise UsageError(f"'for.{names}' is a value, not a section")
        if method in names.split():
            content = _merged(content, variant)
    return _overridden(_without_length(content, set_keys(overrides)), overrides)


def _without_length(content: dict[str, Any], overridden: set[str]) -> dict[str, Any]:
    """A file's content without what it says of how long training is, where overrides say that."""
    training = content.get("training")
    if not isinstance(training, dict) or overridden.isdisjoint(_OF_LENGTH[:2]):
        return content
    others = {key: value for key, value in training.items() if f"training.{key}" not in _OF_LENGTH[1:]}
    return {**content, "training": others}


def _merged(content: dict[str, Any], variant: dict[str, Any]) -> dict[str, Any]:
    merged = dict(content)
    for key, value in variant.items():
        before = merged.get(key)
        merged[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def _overridden(content: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    overridden = copy.deepcopy(content)
    for override in overrides:
        _apply(overridden, override)
    return overridden


def _apply(content: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise UsageError(f"override '{override}' must be section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *sections, last = key.strip().split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise UsageError(f"override '{override}': '{section}' is a value, not a section")
    content[last] = value


def _problems(error: ValidationError) -> list[str]:
    problems = []
    for detail in error.errors():
        key = ".".join(map(str, detail["loc"]))
        if detail["type"] == "extra_forbidden":
            problems.append(f"{key} is unknown{did_you_mean(key, _known_keys(Config))}")
        else:
            value = f" ({detail['input']})" if not isinstance(detail["input"], dict) else ""
            problems.append(f"{key}{value}: {detail['msg']}".removeprefix(": "))
    return problems


def _known_keys(section: type[BaseModel], prefix: str = "") -> list[str]:
    keys = []
    for name, field in section.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += _known_keys(field.annotation, f"{prefix}{name}.")
        for section in get_args(field.annotation):
            if isinstance(section, type) and issubclass(section, BaseModel):  # one section per view
                keys += [key for view in VIEWS for key in _known_keys(section, f"{prefix}{name}.{view}.")]
    return keys
