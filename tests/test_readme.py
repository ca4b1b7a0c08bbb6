"""The pages tell the truth: their commands exist, with those options, and what they link to is there."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text()
NESTED = {"index", "data", "views", "reproduce"}  # verbs that have verbs
MAX_README_LINES = 150


def commands(*pages: Path) -> list[list[str]]:
    """Every command line in the pages' shell blocks, comments, prompts and settings of the environment left out."""
    found = []
    for page in pages:
        for block in re.findall(r"```(?:ba)?(?:sh|console)\n(.*?)```", page.read_text(), flags=re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = re.sub(r"^(\$ )?([A-Z_]+=\S+ )*", "", line)
                if words.startswith(("make ", "cocon ", "client ")):
                    found.append(shlex.split(words, comments=True))
    return found


def targets() -> list[str]:
    return sorted(
        {word for program, *words in commands(*PAGES) if program == "make" for word in words if "=" not in word}
    )


def verb_of(words: list[str]) -> tuple[str, ...]:
    return tuple(words[: 3 if words[1] in NESTED else 2])


@cache
def help_of(verb: tuple[str, ...]) -> str:
    program, *words = verb
    shown = subprocess.run(
        [str(BIN / program), *words, "--help"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={"COLUMNS": "200", "PATH": str(BIN)},
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_the_readme_shows_commands_and_is_short() -> None:
    readme = ROOT / "README.md"
    assert {program for program, *_ in commands(readme)} == {"make", "cocon", "client"}
    assert len(readme.read_text().splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize("target", targets())
def test_every_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "verb", sorted({verb_of(words) for words in commands(*PAGES) if words[0] != "make"}), ids=" ".join
)
def test_every_verb_exists_with_its_options_and_has_an_example(verb: tuple[str, ...]) -> None:
    assert "Example" in help_of(verb)
    for words in commands(*PAGES):
        if words[0] != "make" and verb_of(words) == verb:
            for option in (word.split("=")[0] for word in words if word.startswith("--")):
                assert option in help_of(verb), f"{' '.join(words)}: no option {option}"


def test_make_help_lists_every_target_that_a_page_names() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True).stdout
    for target in targets():
        assert f"make {target} " in shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_and_folder_that_a_page_links_to_is_there(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / target).exists(), target
