"""What a stranger finds the way by: folders seen at a glance, packages that say what they hold, one name a thing."""

import ast
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("core", "video", "embedding", "training", "export", "serving", "client")
MODULES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
PACKAGES = [path for path in MODULES if path.name == "__init__.py"]


def test_no_folder_holds_more_than_fifteen_modules() -> None:
    sizes = Counter(path.parent.relative_to(ROOT).as_posix() for path in MODULES if path not in PACKAGES)
    assert {folder: number for folder, number in sizes.items() if number > 15} == {}
    assert sum(sizes.values()) + len(PACKAGES) == len(MODULES)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_a_package_says_what_it_holds_and_names_the_packages_in_it(package: Path) -> None:
    told = ast.get_docstring(ast.parse(package.read_text()))
    assert told, "no docstring"
    wings = {path.parent.name for path in PACKAGES if path.parent.parent == package.parent}
    assert {wing for wing in wings if f"`{wing}`" not in told} == set()


def test_no_room_asks_python_where_links_lead() -> None:
    """`Path.resolve` ends in a traceback where links go in a circle; `core.paths.real_path` does not."""
    asking = [path.relative_to(ROOT).as_posix() for path in MODULES if ".resolve(" in path.read_text()]
    assert asking == []


# What Triton's worker looks for in every backend.
OF_TRITON = {"TritonPythonModel"}


def test_no_two_public_classes_have_one_name() -> None:
    homes = defaultdict(list)
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(path.relative_to(ROOT).as_posix())
    assert len(homes[next(iter(OF_TRITON))]) == 3
    several = {name: paths for name, paths in homes.items() if len(paths) > 1}
    assert {name: paths for name, paths in several.items() if name not in OF_TRITON} == {}
