"""The README tells the truth: its commands exist, and the short ones run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
NESTED = {"index", "data", "views", "reproduce"}  # verbs that have verbs


def commands() -> list[list[str]]:
    """Every command line in the README's shell blocks, comments and prompts left out."""
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    starts = ("make ", "cocon ", "client ")
    return [shlex.split(line, comments=True) for line in lines if line.startswith(starts)]


def targets() -> list[str]:
    return sorted({word for program, *words in commands() if program == "make" for word in words})


def verbs() -> list[tuple[str, ...]]:
    found = set()
    for program, *words in commands():
        if program != "make":
            depth = 2 if words[0] in NESTED else 1
            found.add((program, *words[:depth]))
    return sorted(found)


def test_the_readme_shows_commands() -> None:
    assert {program for program, *_ in commands()} == {"make", "cocon", "client"}


@pytest.mark.parametrize(
    "target", sorted({word for program, *words in commands() if program == "make" for word in words})
)
def test_every_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, flags=re.MULTILINE)


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_every_verb_exists_and_has_an_example(verb: tuple[str, ...]) -> None:
    program, *words = verb
    shown = subprocess.run(
        [str(BIN / program), *words, "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert "Example" in shown.stdout


def test_every_option_in_the_readme_exists() -> None:
    for program, *words in commands():
        if program == "make":
            continue
        depth = 2 if words[0] in NESTED else 1
        shown = subprocess.run(
            [str(BIN / program), *words[:depth], "--help"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"COLUMNS": "200", "PATH": str(BIN)},
        ).stdout
        for option in (word.split("=")[0] for word in words if word.startswith("--")):
            assert option in shown, f"{program} {' '.join(words)}: no option {option}"


def test_make_help_lists_the_targets() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    for target in (
        "setup",
        "data",
        "train",
        "export",
        "serve",
        "stop",
        "demo",
        "test",
        "lint",
        "types",
        "bench",
        "clean",
    ):
        assert f"make {target}" in shown


def test_every_file_and_folder_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
