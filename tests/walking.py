"""Commands as a user types them, in a folder of their own."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cocon.serving.address import Address

BIN = Path(sys.executable).parent

Completed = subprocess.CompletedProcess[str]


@dataclass
class Walk:
    """A folder of its own, and commands run in it."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *command: object, code: int = 0) -> Completed:
        words = [str(BIN / str(command[0])), *map(str, command[1:])]
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, text=True, capture_output=True, timeout=600, check=False
        )
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *command: object) -> list[dict[str, object]]:
        found = json.loads(self(*command, "--json").stdout)
        assert isinstance(found, list)
        return found

    @contextmanager
    def serving(self, *models: str, repository: str = "model_repository") -> Iterator[str]:
        """A real Triton, started and stopped by the command line; the models must be among those it names."""
        address = Address.on_free_ports()
        ports = [
            *("--grpc-port", address.grpc_port),
            *("--metrics-port", address.metrics_port),
        ]
        served = self("cocon", "serve", repository, "--detach", "--timeout-s", 600, *ports)
        try:
            assert all(model in served.stdout for model in models), served.stdout
            yield f"127.0.0.1:{address.grpc_port}"
        finally:
            self("cocon", "serve", "--stop", "--grpc-port", address.grpc_port)

    def videos(self, split: str) -> list[str]:
        """Of the set in `data/figures`."""
        with (self.folder / "data/figures/manifest.csv").open() as stream:
            return [f"data/figures/{row['path']}" for row in csv.DictReader(stream) if row["split"] == split]


def assert_refused(result: Completed, message: str) -> None:
    """A wrong call: one line that says so, and exit code 2."""
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def tiny_settings(*views: str) -> str:
    """The beginning of a configuration whose training takes seconds; sections that say more follow it."""
    sizes = "".join(f"[view.{view}]\nresize_px = 36\ncrop_px = 32\n" for view in views)
    return f"""
views = {json.dumps(views)}
[clip]
num_blocks = 3
frames_per_block = 3
step_seconds = 0.1
[model]
depth = "resnet10"
width = 8
num_predicted = 1
[training]
precision = "32-true"
epochs = 2
batch_size = 6
{sizes}"""


def walk_in(folder: Path) -> Walk:
    """Without settings of the user who tests."""
    environment = dict(os.environ) | {"XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache")}
    environment.pop("COCON_URL", None)
    environment.pop("COCON_INDEX", None)
    return Walk(folder, environment)
