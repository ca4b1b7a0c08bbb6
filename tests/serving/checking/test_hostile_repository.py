"""Repositories of strangers on the real server: every way in which one runs code there, and that it is refused first.

Each way would leave a file, its canary. One server that looks at nothing is given all of them, which shows that they
are ways; then each is given to one that looks.
"""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

from cocon.core.errors import UsageError
from cocon.serving.address import Address
from cocon.serving.checking.faults import Matter
from cocon.serving.checking.repository_check import check_served, repository_faults
from cocon.serving.launcher import ServerProcess
from tests.serving.checking.conftest import write_negation
from tests.serving.conftest import Cli

pytestmark = pytest.mark.triton


class Hostile:
    """A repository in the making, and where its canaries will sit.

    Attributes:
        root: The repository.
        canaries: Their folder.
    """

    def __init__(self, folder: Path) -> None:
        self.root, self.canaries = folder / "repository", folder / "canaries"
        self.root.mkdir()
        self.canaries.mkdir()

    def python(self, name: str) -> str:
        return f"open({str(self.canaries / name)!r}, 'w').close()\n"

    def shell(self, name: str) -> str:
        """A command without the slashes that no name of a file can have."""
        path = str(self.canaries / name).replace("/", "${S}")
        return f"$(S=${{HOME%%[a-zA-Z0-9]*}};touch ${{S}}{path.removeprefix('${S}')})"

    def library(self, path: Path, name: str) -> None:
        path_text = str(self.canaries / name)
        source = (
            f'#include <stdio.h>\n__attribute__((constructor)) void run(void) {{ fclose(fopen("{path_text}", "w")); }}'
        )
        compiler = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(path)]
        subprocess.run(compiler, input=source, text=True, check=True)

    def model(self, name: str, change: Callable[[triton.ModelConfig], object] = lambda config: None) -> Path:
        """A sound model, but for the change of its configuration."""
        config = triton.ModelConfig(name=name, backend="onnxruntime", max_batch_size=4)
        config.instance_group.add(count=1, kind=triton.ModelInstanceGroup.KIND_CPU)
        config.input.add(name="x", data_type=triton.TYPE_FP32, dims=[3])
        config.output.add(name="y", data_type=triton.TYPE_FP32, dims=[3])
        change(config)
        folder = self.root / name
        (folder / "1").mkdir(parents=True)
        write_negation(folder / "1" / "model.onnx")
        (folder / "config.pbtxt").write_text(text_format.MessageToString(config))
        return folder


def _python_backend(hostile: Hostile, name: str) -> None:
    folder = hostile.model(name, lambda config: setattr(config, "backend", "python"))
    (folder / "1" / "model.py").write_text(hostile.python(name))


def _no_backend(hostile: Hostile, name: str) -> None:
    folder = hostile.model(name, lambda config: config.ClearField("backend"))
    (folder / "1" / "model.onnx").unlink()
    (folder / "1" / "model.py").write_text(hostile.python(name))


def _backend_by_path(hostile: Hostile, name: str) -> None:
    elsewhere = hostile.root.with_name("elsewhere")
    elsewhere.mkdir()
    (elsewhere / "model.py").write_text(hostile.python(name))
    hostile.model(name, lambda config: setattr(config, "backend", "../" * 20 + str(elsewhere)[1:]))


def _hidden_folder(hostile: Hostile, name: str) -> None:
    folder = hostile.model(f".{name}", lambda config: setattr(config, "backend", "python"))
    (folder / "1" / "model.py").write_text(hostile.python(name))


def _runtime(hostile: Hostile, name: str) -> None:
    folder = hostile.model(name, lambda config: setattr(config, "runtime", "mine.so"))
    hostile.library(folder / "mine.so", name)


def _backend_library(hostile: Hostile, name: str) -> None:
    hostile.library(hostile.model(name) / "1" / "libtriton_onnxruntime.so", name)


def _batching_library(hostile: Hostile, name: str) -> None:
    hostile.library(
        hostile.model(name, lambda config: config.dynamic_batching.SetInParent()) / "batchstrategy.so", name
    )


def _batching_parameter(hostile: Hostile, name: str) -> None:
    library = hostile.root.with_name("strategy.so")
    hostile.library(library, name)

    def change(config: triton.ModelConfig) -> None:
        config.dynamic_batching.SetInParent()
        config.parameters["TRITON_BATCH_STRATEGY_PATH"].string_value = str(library)

    hostile.model(name, change)


def _environment(hostile: Hostile, name: str) -> None:
    def change(config: triton.ModelConfig) -> None:
        config.parameters["EXECUTION_ENV_PATH"].string_value = "$$TRITON_MODEL_DIRECTORY/env"

    activate = hostile.model(name, change) / "env" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.write_text(f"touch {hostile.canaries / name}\n")


def _instance_name(hostile: Hostile, name: str) -> None:
    hostile.model(name, lambda config: setattr(config.instance_group[0], "name", hostile.shell(name)))


def _model_file_name(hostile: Hostile, name: str) -> None:
    hostile.model(name, lambda config: setattr(config, "default_model_filename", hostile.shell(name)))


def _folder_name(hostile: Hostile, name: str) -> None:
    hostile.model(hostile.shell(name))


def _torchscript(hostile: Hostile, name: str) -> None:
    import torch

    class Writing(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.save(x, "CANARY")
            return x

    def change(config: triton.ModelConfig) -> None:
        config.backend = "pytorch"
        zeros = triton.ModelWarmup.Input(data_type=triton.TYPE_FP32, dims=[3], zero_data=True)
        config.model_warmup.add(name="zeros", batch_size=1).inputs["x"].CopyFrom(zeros)

    folder = hostile.model(name, change)
    (folder / "1" / "model.onnx").unlink()
    with pytest.warns(DeprecationWarning):
        torch.jit.script(Writing()).save(str(folder / "1" / "model.pt"))  # type: ignore[no-untyped-call]
    _replace_in_archive(folder / "1" / "model.pt", b'"CANARY"', f'"{hostile.canaries / name}"'.encode())


def _replace_in_archive(path: Path, old: bytes, new: bytes) -> None:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content.replace(old, new))


WAYS = {
    way.__name__[1:]: way
    for way in (
        _python_backend,
        _no_backend,
        _backend_by_path,
        _hidden_folder,
        _runtime,
        _backend_library,
        _batching_library,
        _batching_parameter,
        _environment,
        _instance_name,
        _model_file_name,
        _folder_name,
        _torchscript,
    )
}


def test_every_way_runs_code_on_a_server_that_nobody_protects(can_serve: None, tmp_path: Path) -> None:
    """A busy machine's server may end in the midst of all that: what has not run yet is tried again."""
    done: set[str] = set()
    for attempt in range(4):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        hostile = Hostile(folder)
        for name in WAYS.keys() - done:
            WAYS[name](hostile, name)
        done |= _canaries_of_a_server(hostile, len(WAYS) - len(done))
        if len(done) == len(WAYS):
            break
    assert done == set(WAYS)


def _canaries_of_a_server(hostile: Hostile, num_ways: int) -> set[str]:
    """What sits there when all do, or none comes any more."""
    process = ServerProcess(hostile.root, Address.on_free_ports(), log=hostile.root.with_name("log"), scrutiny="none")
    process.start()
    try:
        deadline = time.monotonic() + 30
        while process.is_alive() and time.monotonic() < deadline:
            if len(list(hostile.canaries.iterdir())) == num_ways:
                break
            time.sleep(0.1)
    finally:
        process.stop()
    return {canary.name for canary in hostile.canaries.iterdir()}


@pytest.mark.parametrize("name", WAYS)
def test_a_repository_that_could_run_code_is_refused_and_has_not(name: str, tmp_path: Path) -> None:
    hostile = Hostile(tmp_path)
    hostile.model("cocon_rgb")
    check_served(hostile.root)
    WAYS[name](hostile, name)
    process = ServerProcess(hostile.root, Address.on_free_ports(), log=tmp_path / "log")
    with pytest.raises(UsageError), process:
        pass
    assert not process.log.exists()
    assert {fault.matter for fault in repository_faults(hostile.root)} <= {Matter.TRUST, Matter.FORM}
    assert list(hostile.canaries.iterdir()) == []


def test_who_is_trusted_may_run_code(cli: Cli, ports: list[str], tmp_path: Path) -> None:
    hostile = Hostile(tmp_path)
    folder = hostile.model("own", lambda config: setattr(config, "backend", "python"))
    (folder / "1" / "model.onnx").unlink()
    (folder / "1" / "model.py").write_text(f"{hostile.python('own')}class TritonPythonModel:\n    pass\n")
    refused = cli(hostile.root, "--detach", *ports)
    assert refused.returncode == 2
    lines = refused.stderr.splitlines()
    assert [line for line in lines if "model 'own'" in line] == lines[:-1]
    assert all(line.endswith("serve it with --trust-repository if you trust whoever made it") for line in lines[:-1])
    assert lines[-1] == f"error: model repository '{hostile.root}' has 2 faults, named above; it is not served"
    assert list(hostile.canaries.iterdir()) == []
    try:
        served = cli(hostile.root, "--detach", "--trust-repository", "--json", *ports)
        assert [(model["model"], model["state"]) for model in json.loads(served.stdout)["models"]] == [("own", "READY")]
        assert [canary.name for canary in hostile.canaries.iterdir()] == ["own"]
    finally:
        cli("--stop", *ports)
