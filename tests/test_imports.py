"""The only direction in which imports may point, and what importing a room may load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Room → the rooms it may import besides itself.
ARROWS = {
    "core": set(),
    "video": {"core"},
    "embedding": {"core", "video"},
    "training": {"core", "video", "embedding"},
    "export": {"core", "video", "embedding", "training"},
    "serving": {"core", "embedding"},
    "client": {"core", "video", "embedding"},
}
# What runs in Triton's worker, and may import more than its room does.
ARROWS_INSIDE_TRITON = {"serving/backends/cocon_video": {"core", "video", "embedding", "serving"}}
TORCH_FREE = ("core", "video", "embedding", "serving", "client")
TORCH = {"torch", "torchvision", "torchmetrics", "lightning", "lightning_fabric"}


def _modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def _is_loaded_inside_triton(path: Path) -> bool:
    """A backend's model runs in Triton's worker process, not in ours."""
    return path.match("serving/backends/*/model.py")


def _allowed(room: str, path: Path) -> set[str]:
    """The rooms that a module may import."""
    folder = path.parent.relative_to(ROOT).as_posix()
    return ARROWS_INSIDE_TRITON.get(folder, ARROWS[room] | {room})


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything a module imports, inside functions and for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@pytest.mark.parametrize("room", ARROWS)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    modules = _modules(room)
    assert modules
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules
        for line, name in _imports(path)
        if name.split(".")[0] == "cocon" and name.split(".")[1] not in _allowed(room, path)
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ARROWS)
def test_no_module_imports_a_room_by_its_bare_name(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in _modules(room)
        for line, name in _imports(path)
        if name.split(".")[0] in ARROWS
    ]
    assert wrong == []


@pytest.mark.parametrize("room", TORCH_FREE)
def test_a_torch_free_room_never_imports_torch(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in _modules(room)
        if not _is_loaded_inside_triton(path)
        for line, name in _imports(path)
        if name.split(".")[0] in TORCH
    ]
    assert wrong == []


def test_no_module_is_called_like_a_library() -> None:
    libraries = {"onnx", "triton", "faiss", "torch", "numpy", "av", "decord", "grpc", *sys.stdlib_module_names}
    named = {path.relative_to(ROOT).as_posix() for room in ARROWS for path in _modules(room) if path.stem in libraries}
    assert named == set()


def _module_name(path: Path) -> str:
    return ".".join(("cocon", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def _graph() -> dict[str, set[str]]:
    """Module → the modules it imports; a name out of a module counts as the module."""
    paths = {_module_name(path): path for room in ARROWS for path in _modules(room)}
    graph = {}
    for name, path in paths.items():
        wanted = {imported for _, imported in _imports(path)}
        wanted |= {imported.rpartition(".")[0] for imported in wanted}
        graph[name] = (wanted & paths.keys()) - {name}
    return graph


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Inside functions and for type checkers too: such modules cannot be read one after the other."""
    graph = _graph()
    assert sum(map(len, graph.values())) > len(graph)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def _python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_all_that_the_client_offers_comes_in_without_torch_onnxruntime_or_a_decoder() -> None:
    """Every name is asked for, since the room loads them one by one when asked."""
    result = _python(
        "import sys; from cocon.client import *; import cocon.client;"
        "print([name for name in cocon.client.__all__ if name not in globals()],"
        "'cocon.client.pipeline.video_embedder' in sys.modules, 'cocon.client.index.folder' in sys.modules,"
        "sorted({'torch', 'onnxruntime', 'decord', 'av', 'cv2', 'mediapipe', 'faiss'} & set(sys.modules)))"
    )
    assert (result.returncode, result.stdout) == (0, "[] True True []\n"), result.stderr


@pytest.mark.parametrize("room", ["core", "video", "embedding"])
def test_importing_all_of_a_lower_room_loads_no_inference_library(room: str) -> None:
    modules = [_module_name(path) for path in _modules(room)]
    result = _python(
        f"import sys, importlib; [importlib.import_module(name) for name in {modules}];"
        "print(sorted({'torch', 'onnxruntime', 'decord', 'av', 'cv2'} & set(sys.modules)))"
    )
    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr


def test_a_room_refuses_to_be_imported_under_its_bare_name() -> None:
    code = """
import importlib
for room in {rooms}:
    try:
        importlib.import_module(room)
    except ImportError as error:
        print(error.__class__.__name__, error)
    else:
        print(room, "came in")
"""
    result = _python(code.format(rooms=tuple(ARROWS)))
    assert result.stdout.splitlines() == [
        f"ImportError install the project (make setup) and import this room as 'cocon.{room}'" for room in ARROWS
    ]
