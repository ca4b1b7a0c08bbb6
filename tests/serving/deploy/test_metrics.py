"""What rules, dashboard and alerts ask of a server is what a real one tells."""

import json
import re
import urllib.request

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient

from tests.asking import infer
from tests.serving.conftest import CLIP
from tests.serving.deploy.conftest import FILES, Deployed, documents

pytestmark = pytest.mark.triton

# Told by a server that has a GPU, or the video model, only; tests/serving/backends holds the latter to these names.
ELSEWHERE = {"nv_gpu_utilization", "cocon_video_failures_total", "cocon_video_clips_total"}


def expressions() -> list[str]:
    """Every expression of rules and dashboard."""
    (rules,) = documents(FILES / "prometheus" / "rules.yml")
    dashboard = json.loads((FILES / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    asked += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return asked + [variable["query"]["query"] for variable in dashboard["templating"]["list"][1:]]


def recorded() -> set[str]:
    """Series that the rules make."""
    (rules,) = documents(FILES / "prometheus" / "rules.yml")
    return {rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}


@pytest.fixture
def told(deployed: Deployed) -> str:
    """The metrics after a question."""
    with InferenceServerClient(deployed.url) as client:
        infer(client, "cocon_rgb", {"clip": np.zeros((1, *CLIP), np.uint8)})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(deployed.metrics_url) as answer:
        text: str = answer.read().decode()
    return text


def test_every_series_that_is_asked_for_is_told(told: str) -> None:
    asked = {name for each in expressions() for name in re.findall(r"\b(?:nv_|cocon[_:])[a-z0-9_:]+", each)}
    known = set(re.findall(r"^([a-z0-9_]+)[{ ]", told, re.MULTILINE)) | recorded()
    assert asked - known - ELSEWHERE - {"cocon_video"} == set()
    assert asked >= {"nv_inference_request_summary_us", "cocon:queue_seconds:mean1m"}


def test_percentiles_and_reasons_are_those_that_are_shown(told: str) -> None:
    assert set(re.findall(r'nv_inference_request_summary_us\{[^}]*quantile="([0-9.]+)"', told)) == {
        "0.5",
        "0.95",
        "0.99",
    }
    reasons = set(re.findall(r'nv_inference_request_failure\{[^}]*reason="([A-Z]+)"', told))
    assert reasons >= {"REJECTED", "BACKEND", "OTHER"}
