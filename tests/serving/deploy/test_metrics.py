"""What rules, dashboard and alerts ask of a server is what a real one tells."""

import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient

from tests.asking import infer
from tests.serving.conftest import CLIP
from tests.serving.deploy.conftest import FILES, Deployed, documents, fetched, free_port

pytestmark = pytest.mark.triton

# Told by a server that has a GPU, or the video model, only; tests/serving/backends holds the latter to these names.
ELSEWHERE = {"nv_gpu_utilization", "cocon_video_requests_total", "cocon_video_clips_total"}


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
    return fetched(deployed.metrics_url)


def test_every_series_that_is_asked_for_is_told(told: str) -> None:
    asked = {name for each in expressions() for name in re.findall(r"\b(?:nv_|cocon[_:])[a-z0-9_:]+", each)}
    known = set(re.findall(r"^([a-z0-9_]+)[{ ]", told, re.MULTILINE)) | recorded()
    assert asked - known - ELSEWHERE == set()
    assert asked >= {"nv_inference_request_summary_us", "cocon:queue_seconds:mean1m"}


def test_percentiles_and_reasons_are_those_that_are_shown(told: str) -> None:
    assert set(re.findall(r'nv_inference_request_summary_us\{[^}]*quantile="([0-9.]+)"', told)) == {
        "0.5",
        "0.95",
        "0.99",
    }
    reasons = set(re.findall(r'nv_inference_request_failure\{[^}]*reason="([A-Z]+)"', told))
    assert reasons >= {"REJECTED", "BACKEND", "OTHER"}


@pytest.fixture
def prometheus(deployed: Deployed, tmp_path: Path) -> Iterator[str]:
    """A real Prometheus, by the deployed files, that asks the server every second."""
    text = (FILES / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    target = deployed.metrics_url.removeprefix("http://").removesuffix("/metrics")
    for there, here in {
        "server:8002": target,
        "envoy:9902": target,
        "/stats/prometheus": "/metrics",
        "scrape_interval: 5s": "scrape_interval: 1s",
        "evaluation_interval: 15s": "evaluation_interval: 1s",
    }.items():
        assert there in text
        text = text.replace(there, here)
    (tmp_path / "prometheus.yml").write_text(text, encoding="utf-8")
    rules = (FILES / "prometheus" / "rules.yml").read_text(encoding="utf-8").replace("interval: 15s", "interval: 1s")
    (tmp_path / "rules.yml").write_text(rules, encoding="utf-8")
    port = free_port()
    command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    process = subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def queried(prometheus: str, expression: str) -> list[Any]:
    """What Prometheus answers to an expression."""
    for variable, value in {"$__rate_interval": "10s", "$instance": ".*", "$model": ".*"}.items():
        expression = expression.replace(variable, value)
    try:
        told = json.loads(fetched(f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"))
    except OSError:  # it is starting
        return []
    assert told["status"] == "success"
    result: list[Any] = told["data"]["result"]
    return result


@pytest.mark.slow
def test_every_panel_shows_something(prometheus: str, deployed: Deployed) -> None:
    dashboard = json.loads((FILES / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    waiting = {
        target["expr"]
        for panel in dashboard["panels"]
        for target in panel["targets"]
        if not any(name in target["expr"] for name in ELSEWHERE)
    }
    assert len(waiting) >= 8
    deadline = time.monotonic() + 60
    with InferenceServerClient(deployed.url) as client:
        while waiting and time.monotonic() < deadline:
            infer(client, "cocon_rgb", {"clip": np.zeros((1, *CLIP), np.uint8)})
            waiting = {expression for expression in waiting if not queried(prometheus, expression)}
            time.sleep(1)
    assert waiting == set()
