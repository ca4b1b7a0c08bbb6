"""What is in the wheel is what is in the tree."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("core", "video", "embedding", "training", "export", "serving", "client")
# What has a part in a vector.
DECIDING = {
    *("av", "faiss-cpu", "mediapipe", "numpy", "onnxruntime", "onnxruntime-gpu"),
    *("opencv-contrib-python-headless", "pillow", "torch", "tritonclient"),
}

# The build backend without pip: nothing is downloaded and nothing is left in the tree.
_BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


def _package_folders() -> dict[str, str]:
    """Package name → folder, for every folder of the rooms with an `__init__.py`."""
    folders = [path.parent.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("__init__.py")]
    return {".".join(("cocon", *folder.parts)): folder.as_posix() for folder in folders}


@pytest.fixture(scope="module")
def configuration() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of a copy of the tree, so that old build folders play no part."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for room in ROOMS:
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    build = [sys.executable, "-c", _BUILD, str(out)]
    result = subprocess.run(build, cwd=tree, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return zipfile.ZipFile(out / result.stdout.splitlines()[-1])


def test_no_install_takes_a_major_release_of_a_vectors_library_that_nobody_has_compared(
    configuration: dict[str, Any],
) -> None:
    project = configuration["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    needed = [requirement for requirement in map(Requirement, lines) if requirement.name in DECIDING]
    assert {requirement.name for requirement in needed} == DECIDING
    for requirement in needed:
        assert any(bound.operator in ("<", "==") for bound in requirement.specifier), str(requirement)
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    assert [str(need) for need in needed if need.name in pins and pins[need.name] not in need.specifier] == []


def test_the_list_of_packages_is_the_folders_there_are(configuration: dict[str, Any]) -> None:
    assert sorted(configuration["tool"]["setuptools"]["packages"]) == sorted(_package_folders())
    assert configuration["tool"]["setuptools"]["package-dir"] == {"cocon": "."}


def test_every_folder_with_modules_is_a_package() -> None:
    holding = {path.parent.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert holding == set(_package_folders().values())


@pytest.mark.parametrize("pattern", ["*.py", "*.toml", "*.jinja", "py.typed"])
def test_the_wheel_holds_every_module_preset_template_and_type_marker(pattern: str, wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    expected = {f"cocon/{path.relative_to(ROOT)}" for room in ROOMS for path in (ROOT / room).rglob(pattern)}
    assert expected
    assert expected - names == set()


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_ships_its_type_marker(room: str, wheel: zipfile.ZipFile) -> None:
    assert f"cocon/{room}/py.typed" in wheel.namelist()


def test_site_packages_gets_one_name_and_it_stays_a_namespace(wheel: zipfile.ZipFile) -> None:
    top = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"cocon"}
    assert "cocon/__init__.py" not in wheel.namelist()


def test_tests_and_private_folders_stay_out_of_the_wheel(wheel: zipfile.ZipFile) -> None:
    assert [name for name in wheel.namelist() if "test" in Path(name).stem.split("_")] == []


def test_every_command_names_a_module_in_the_wheel(configuration: dict[str, Any], wheel: zipfile.ZipFile) -> None:
    project = configuration["project"]
    targets = [*project["scripts"].values(), *project["entry-points"]["cocon.commands"].values()]
    modules = {f"{target.split(':')[0].replace('.', '/')}.py" for target in targets}
    assert modules - set(wheel.namelist()) == set()
