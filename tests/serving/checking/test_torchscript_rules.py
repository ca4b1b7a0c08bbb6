"""What a TorchScript file calls, and how it could hide it."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tritonclient.grpc import model_config_pb2 as triton

from cocon.serving.checking.configured_model import ConfiguredModel
from cocon.serving.checking.torchscript_rules import torchscript_faults

Entries = dict[str, bytes]


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> Entries:
    """The archive of a small module."""

    class Mean(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=1)

    path = tmp_path_factory.mktemp("torchscript") / "model.pt"
    with pytest.warns(DeprecationWarning):
        torch.jit.script(Mean()).save(str(path))  # type: ignore[no-untyped-call]
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def _faults(folder: Path) -> list[str]:
    model = ConfiguredModel(folder, triton.ModelConfig(name="m", backend="pytorch"))
    return [str(fault) for fault in torchscript_faults(model)]


def _write(folder: Path, entries: Entries) -> Path:
    path = folder / "m" / "1" / "model.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def _code(entries: Entries) -> str:
    return next(name for name in entries if name.endswith(".py"))


def test_a_module_that_computes_has_no_fault(entries: Entries, tmp_path: Path) -> None:
    _write(tmp_path, entries)
    assert _faults(tmp_path / "m") == []


@pytest.mark.parametrize(
    "call",
    [
        'torch.save(x, "f")',
        'torch.from_file("f", True, 9)',
        'torch . save(x, "f")',
        "y = torch",
        'ops.aten.save(x, "f")',
        'ops.image.write_file("f", x)',
        "__torch__.torch.classes.any.Thing()",
        '"a string" # torch.save',
        "torch.mean.save",
    ],
)
def test_what_may_do_more_than_compute_is_named(entries: Entries, tmp_path: Path, call: str) -> None:
    code = _code(entries)
    _write(tmp_path, entries | {code: entries[code] + f"\n    {call}\n".encode()})
    (fault,) = _faults(tmp_path / "m")
    assert "its file '1/model.pt' calls " in fault
    assert fault.endswith(
        "which may do more than compute; serve it with --trust-repository if you trust whoever made it"
    )


def test_a_native_class_among_the_data_is_named(entries: Entries, tmp_path: Path) -> None:
    data = next(name for name in entries if name.endswith("/data.pkl"))
    _write(tmp_path, entries | {data: b"\x80\x02c__torch__.torch.classes.any\nThing\n."})
    assert "calls torch.classes" in _faults(tmp_path / "m")[0]


def _with_code_in_capitals(entries: Entries, path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_code(entries).upper(), b"")


def _with_code_twice(entries: Entries, path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_code(entries), b"")


def _of_the_first_form(entries: Entries, path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/model.json", b"{}")


def _behind_another_archive(entries: Entries, path: Path) -> None:
    path.write_bytes(path.read_bytes() * 2)


def _cut_short(entries: Entries, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _too_large(entries: Entries, path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/code/large.py", bytes(65 << 20))


@pytest.mark.parametrize(
    "hide",
    [_with_code_in_capitals, _with_code_twice, _of_the_first_form, _behind_another_archive, _cut_short, _too_large],
)
def test_an_archive_that_could_be_read_in_another_way_is_refused(
    entries: Entries, tmp_path: Path, hide: Callable[[Entries, Path], None]
) -> None:
    hide(entries, _write(tmp_path, entries))
    (fault,) = _faults(tmp_path / "m")
    assert "is no TorchScript archive as PyTorch writes it: " in fault
