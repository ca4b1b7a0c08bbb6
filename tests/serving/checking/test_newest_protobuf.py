"""Configurations are read by the newest release of Triton's own classes and of protobuf as by those that wrote them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import json_format

from cocon.embedding.config_files import read_config

ROOT = Path(__file__).resolve().parents[3]

_READ_ALL = """
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
import google.protobuf
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2
assert google.protobuf.__file__.startswith(sys.argv[1]), google.protobuf.__file__
paths = map(pathlib.Path, json.load(sys.stdin))
configs = [text_format.Parse(path.read_text("utf-8"), model_config_pb2.ModelConfig()) for path in paths]
print(json.dumps([json_format.MessageToDict(config, preserving_proto_field_name=True) for config in configs]))
"""


@pytest.mark.slow
@pytest.mark.training
def test_every_exported_configuration_says_the_same_to_the_newest_release(tmp_path: Path) -> None:
    """It downloads that release."""
    newest, repository = tmp_path / "newest", tmp_path / "repository"
    install = [sys.executable, "-m", "pip", "install", "-q", "--target", newest, "tritonclient[grpc]>=2.73"]
    subprocess.run(install, check=True, capture_output=True)
    command = [sys.executable, "-c", "from cocon.core.command import main; main()", "export"]
    options = ["--video", "--feature-maps", "--target", "gpu"]
    run = ["--run", ROOT / "pretrained" / "figures-tiny", "--repository", repository]
    subprocess.run([*command, *run, *options], check=True, capture_output=True)
    paths = sorted(repository.rglob("config.pbtxt"))
    assert {path.parent.name for path in paths} >= {"cocon", "cocon_fuse", "cocon_rgb", "cocon_video"}
    reading = [sys.executable, "-I", "-c", _READ_ALL, newest]
    read = subprocess.run(reading, input=json.dumps(list(map(str, paths))), capture_output=True, text=True, check=True)
    ours = [json_format.MessageToDict(read_config(path), preserving_proto_field_name=True) for path in paths]
    assert json.loads(read.stdout) == ours
