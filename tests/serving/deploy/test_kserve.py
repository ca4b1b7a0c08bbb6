"""KServe's own client gets our vectors, and KServe's own types know every field of the InferenceService."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient

from tests.asking import infer
from tests.serving.conftest import CLIP
from tests.serving.deploy.conftest import FILES, Deployed, documents, installed, run

PATH = FILES / "kserve" / "inference-service.yaml"
SIDE = Path(__file__).with_name("kserve_side.py")


def test_what_of_it_is_a_pod_keeps_to_kubernetes_schema(tmp_path: Path) -> None:
    (runtime,) = [each["spec"] for each in documents(PATH) if each["kind"] == "ServingRuntime"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "as-kserve-makes-it"},
        "spec": {"containers": runtime["containers"], "volumes": runtime["volumes"]},
    }
    (tmp_path / "pod.yaml").write_text(json.dumps(pod))
    run(installed("kubernetes-validate"), "--strict", tmp_path / "pod.yaml")


@pytest.fixture(scope="module")
def kserve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with KServe, which needs other releases of NumPy and protobuf than Triton's worker."""
    folder = tmp_path_factory.mktemp("kserve")
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    result = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-compile", "kserve==0.21.0"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return python


@pytest.mark.slow
def test_kserve_knows_every_field(kserve: Path, tmp_path: Path) -> None:
    assert json.loads(run(kserve, SIDE, "check", PATH)) == []
    (tmp_path / "wrong.yaml").write_text(PATH.read_text().replace("modelFormat:", "modelFromat:"))
    assert json.loads(run(kserve, SIDE, "check", tmp_path / "wrong.yaml")) != []


@pytest.mark.slow
@pytest.mark.triton
def test_kserves_client_gets_the_same_embedding(kserve: Path, deployed: Deployed) -> None:
    clip = np.random.default_rng(0).integers(0, 256, (1, *CLIP), dtype=np.uint8)
    question = json.dumps({"model": "cocon_rgb", "clip": clip.tolist()})
    result = subprocess.run(
        [kserve, SIDE, "ask", deployed.url], input=question, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    theirs: dict[str, Any] = json.loads(result.stdout)
    with InferenceServerClient(deployed.url) as client:
        ours = infer(client, "cocon_rgb", {"clip": clip})
    assert theirs.keys() == ours.keys()
    for name, values in ours.items():
        np.testing.assert_allclose(theirs[name], values, rtol=1e-6)
