"""`__all__` says exactly what a module offers."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("core", "video", "embedding", "training", "export", "serving", "client")


def _exported(tree: ast.Module) -> list[str] | None:
    """The module's `__all__`, or None."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == "__all__" for target in node.targets):
            return list(ast.literal_eval(node.value))
    return None


TREES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text())
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
}
EXPORTING = {name: tree for name, tree in TREES.items() if _exported(tree) is not None}


def _is_command(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """A function that Typer calls: its name is a verb of the command line, not of the module."""
    calls = [decorator.func for decorator in node.decorator_list if isinstance(decorator, ast.Call)]
    return any(isinstance(call, ast.Attribute) and call.attr in ("command", "callback") for call in calls)


def _defined(tree: ast.Module) -> Iterator[str]:
    """Public functions and classes that the module itself defines."""
    for node in tree.body:
        is_definition = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if is_definition and not node.name.startswith("_") and not _is_command(node):
            yield node.name


def _bound(statements: list[ast.stmt]) -> Iterator[str]:
    """Every name bound at the module's top level, in its branches and for type checkers too."""
    for node in statements:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from ((alias.asname or alias.name).split(".")[0] for alias in names)
            case ast.If(body=body, orelse=orelse) | ast.Try(body=body, orelse=orelse):
                yield from _bound([*body, *orelse])


def _order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: what ruff's RUF022 writes."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


# Run and never imported: by `python -m`, by Triton's worker, as a process of its own.
RUN_AS_SCRIPTS = {
    "client/__main__.py",
    "serving/backends/cocon_video/model.py",
    "serving/backends/onnxruntime/model.py",
    "serving/backends/pytorch/model.py",
    "serving/tether.py",
}


def test_every_module_says_what_it_exports() -> None:
    silent = {name for name in TREES.keys() - EXPORTING.keys() if not name.endswith("__init__.py")}
    assert silent == RUN_AS_SCRIPTS


@pytest.mark.parametrize("module", EXPORTING)
def test_exported_names_are_sorted_and_unique(module: str) -> None:
    names = _exported(EXPORTING[module])
    assert names is not None
    assert names == sorted(set(names), key=_order)


@pytest.mark.parametrize("module", EXPORTING)
def test_every_public_function_and_class_is_exported(module: str) -> None:
    tree = EXPORTING[module]
    assert set(_defined(tree)) - set(_exported(tree) or ()) == set()


@pytest.mark.parametrize("module", EXPORTING)
def test_every_exported_name_is_there(module: str) -> None:
    tree = EXPORTING[module]
    assert set(_exported(tree) or ()) - set(_bound(tree.body)) == set()


@pytest.mark.parametrize("module", [name for name in EXPORTING if name.startswith(("core/", "video/", "embedding/"))])
def test_exported_names_can_be_imported(module: str) -> None:
    loaded = importlib.import_module("cocon." + module.removesuffix(".py").replace("/", "."))
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []
