"""The deployment files, judged by the tools that will read them."""

import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from cocon.serving.installation import find_installation
from tests.serving.deploy.conftest import FILES, composed_command, documents, installed, run

KUBERNETES = sorted((FILES / "kubernetes").glob("*.yaml"))


def test_compose_keeps_to_its_schema() -> None:
    run(installed("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "compose.yaml")


@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_kubernetes_manifests_keep_to_their_schemas(version: str) -> None:
    told = run(installed("kubernetes-validate"), "--strict", "--kubernetes-version", version, *KUBERNETES)
    assert told.count("passed") == sum(len(documents(path)) for path in KUBERNETES)


def test_the_kustomization_names_every_manifest() -> None:
    (kustomization,) = documents(FILES / "kustomization.yaml")
    assert sorted(kustomization["resources"]) == [f"kubernetes/{path.name}" for path in KUBERNETES]
    assert all((FILES / name).is_file() for each in kustomization["configMapGenerator"] for name in each["files"])


def test_prometheus_takes_configuration_and_rules() -> None:
    assert "1 rule files found" in run("promtool", "check", "config", "prometheus/prometheus.yml")


def test_prometheus_in_a_cluster_takes_its_configuration(tmp_path: Path) -> None:
    """Debian's promtool knows no Kubernetes, so pods are a list for it."""
    (written,) = documents(FILES / "prometheus" / "kubernetes.yml")
    for job in written["scrape_configs"]:
        assert job.pop("kubernetes_sd_configs") == [{"role": "pod", "namespaces": {"names": ["cocon"]}}]
        job["static_configs"] = [{"targets": ["pod:8002"]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(written))
    (tmp_path / "rules.yml").symlink_to(FILES / "prometheus" / "rules.yml")
    assert "1 rule files found" in run("promtool", "check", "config", tmp_path / "prometheus.yml")


def test_alerts_fire_when_they_should() -> None:
    run("promtool", "test", "rules", Path(__file__).with_name("rules_test.yml"))


def test_a_cluster_finds_the_pods_by_names_that_they_have() -> None:
    (deployment,) = [each for each in documents(FILES / "kubernetes" / "server.yaml") if each["kind"] == "Deployment"]
    containers = deployment["spec"]["template"]["spec"]["containers"]
    ports = {port["name"] for container in containers for port in container["ports"]}
    (scraped,) = documents(FILES / "prometheus" / "kubernetes.yml")
    kept = {rule["regex"] for job in scraped["scrape_configs"] for rule in job["relabel_configs"] if "regex" in rule}
    assert kept <= ports


def test_every_alert_is_tested() -> None:
    (rules,) = documents(FILES / "prometheus" / "rules.yml")
    (tests,) = documents(Path(__file__).with_name("rules_test.yml"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    fired = {
        case["alertname"]
        for test in tests["tests"]
        for case in test.get("alert_rule_test", ())
        if case.get("exp_alerts")
    }
    assert alerts == fired


def test_grafana_understands_all_of_the_dashboard() -> None:
    """Read into Grafana's own model and written again, nothing is lost."""
    written = json.loads((FILES / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    understood = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(written)))
    assert list(_lost(written, understood, "dashboard")) == []


def _lost(written: Any, understood: Any, where: str) -> Any:
    if isinstance(written, dict) and isinstance(understood, dict):
        for name, value in written.items():
            if name not in understood:
                yield f"{where}.{name}"
            else:
                yield from _lost(value, understood[name], f"{where}.{name}")
    elif isinstance(written, list) and isinstance(understood, list):
        for number, pair in enumerate(zip(written, understood, strict=True)):
            yield from _lost(*pair, f"{where}[{number}]")
    elif written != understood:
        yield f"{where}: {written!r} became {understood!r}"


@pytest.mark.parametrize("path", ["datasource.yml", "provisioning.yml"])
def test_grafana_is_told_where_things_are(path: str) -> None:
    (told,) = documents(FILES / "grafana" / path)
    assert told["apiVersion"] == 1


def triton_container(path: Path, kind: str) -> Mapping[str, Any]:
    """The first container that a manifest of this kind has."""
    (spec,) = [each["spec"] for each in documents(path) if each["kind"] == kind]
    container: Mapping[str, Any] = (spec.get("template", {}).get("spec") or spec)["containers"][0]
    return container


@pytest.mark.parametrize(
    ("path", "kind"), [("kubernetes/server.yaml", "Deployment"), ("kserve/inference-service.yaml", "ServingRuntime")]
)
def test_the_server_is_started_alike_everywhere(path: str, kind: str) -> None:
    there = {"/mnt/models": "/models", "9000": "8001", "$(OPERATOR_KEY)": "KEY"}

    def common(command: list[str]) -> list[str]:
        text = re.sub(r"\$\{COCON_OPERATOR_KEY[^}]*\}", "KEY", "\n".join(command))
        for here, elsewhere in there.items():
            text = text.replace(here, elsewhere)
        return text.split("\n")

    assert common(triton_container(FILES / path, kind)["args"]) == common(composed_command())


def test_the_page_gives_the_same_command() -> None:
    page = (FILES.parents[1] / "docs" / "serving.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"docker run .+?\n```", page, flags=re.DOTALL)
    written = shlex.split(block.removesuffix("```").replace("\\\n", " "))
    composed = [re.sub(r"\$\{COCON_OPERATOR_KEY.*\}", "$COCON_OPERATOR_KEY", part) for part in composed_command()]
    assert written[written.index("tritonserver") :] == composed


@pytest.mark.parametrize(
    ("path", "kind"), [("kubernetes/server.yaml", "Deployment"), ("kserve/inference-service.yaml", "ServingRuntime")]
)
def test_a_container_may_do_little(path: str, kind: str) -> None:
    container = triton_container(FILES / path, kind)
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert {probe for probe in container if probe.endswith("Probe")} == {
        "startupProbe",
        "readinessProbe",
        "livenessProbe",
    }


def test_composed_containers_may_do_little() -> None:
    (compose,) = documents(FILES / "compose.yaml")
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    server = compose["services"]["server"]
    assert server["user"] == "1000:1000"
    assert server["volumes"][0]["read_only"] is True
    assert server["shm_size"]
    assert [port.partition(":")[0] for port in server["ports"]] == ["127.0.0.1"]


def test_the_dockerfile_has_nothing_that_its_linter_warns_of() -> None:
    run(installed("hadolint"), "--failure-threshold", "warning", "Dockerfile")


def test_the_server_knows_every_flag(can_serve: None) -> None:
    installation = find_installation(FILES)
    help_text = subprocess.run(
        [installation.binary, "--help"], env=dict(installation.environment), capture_output=True, text=True, check=False
    )
    known = set(re.findall(r"--[a-z0-9-]+", help_text.stdout + help_text.stderr))
    asked = {part.partition("=")[0] for part in composed_command()[1:]}
    assert asked - known == set()


def test_all_yaml_is_yaml_and_nothing_else_lies_here() -> None:
    for path in FILES.rglob("*"):
        if path.is_file() and path.suffix in (".yaml", ".yml"):
            assert list(yaml.safe_load_all(path.read_text(encoding="utf-8"))), path
