"""What reading a configuration loads."""

import json
import subprocess
import sys
from pathlib import Path

import cocon.training.config

_PROGRAM = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(f"cocon.training.config.{name}")
print(json.dumps(sorted(sys.modules)))
"""


def test_configuration_loads_neither_torch_nor_methods() -> None:
    names = [path.stem for path in Path(cocon.training.config.__path__[0]).glob("*.py") if path.stem != "__init__"]
    output = subprocess.run([sys.executable, "-c", _PROGRAM, *names], check=True, capture_output=True, text=True).stdout
    loaded = json.loads(output)
    assert {f"cocon.training.config.{name}" for name in names} < set(loaded)
    assert [name for name in loaded if name == "torch" or name.startswith("cocon.training.methods")] == []
