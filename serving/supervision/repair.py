"""Give a model new workers while its server goes on: end the old ones, unload it, and load it as it was.

A repair changes no version: the server is handed the configuration that it served, so what has come into the
repository since waits for its turn, and ensembles that went with the model come back with it.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from cocon.embedding.repository import ENSEMBLE_PLATFORM
from cocon.serving.operator_client import OperatorClient
from cocon.serving.supervision.workers import WorkerWatch

__all__ = ["configurations_of", "restart_model", "restore_versions", "served_versions"]


def served_versions(server: OperatorClient) -> dict[str, list[int]]:
    """The versions that are READY of every model.

    Raises:
        ServerError: The server does not answer.
    """
    versions: dict[str, list[int]] = {}
    for entry in server.index():
        if entry.state == "READY":
            versions.setdefault(entry.name, []).append(int(entry.version))
    return versions


def restart_model(model: str, server: OperatorClient, workers: WorkerWatch, *, timeout_s: float) -> None:
    """Restart a model: requests that it has fail, and until it is loaded there is no such model.

    Args:
        model: Its name.
        server: The server.
        workers: Those of the server.
        timeout_s: How long it may take to load, in seconds.

    Raises:
        ServerError: It does not load, or the server does not answer.
    """
    before = configurations_of(server)
    if model not in before:
        return  # the operator has unloaded it meanwhile
    workers.kill(model)
    server.unload(model, timeout_s=timeout_s)
    server.load(model, config=before[model], timeout_s=timeout_s)
    for name, config in before.items():
        if served_versions(server).get(name) != _versions(config):
            server.load(name, config=config, timeout_s=timeout_s)


def configurations_of(server: OperatorClient) -> dict[str, Mapping[str, Any]]:
    """The configuration of every model, with just the versions that are served now.

    Raises:
        ServerError: The server does not answer.
    """
    return {name: _as_served(server, name, versions) for name, versions in served_versions(server).items()}


def restore_versions(
    configurations: Mapping[str, Mapping[str, Any]], server: OperatorClient, *, timeout_s: float
) -> None:
    """Have a server that was started again serve what it did before, and not what has come into the repository since.

    What the operator has chosen since, by a `version_policy` in the repository, stays.

    Args:
        configurations: Of before, from `configurations_of`.
        server: The new server.
        timeout_s: How long a model may take to load, in seconds.

    Raises:
        ServerError: A model does not load as it was.
    """
    now = served_versions(server)
    others = {
        name: config
        for name, config in configurations.items()
        if _versions(config) != now.get(name) and not (name in now and _is_chosen(server, name))
    }
    # A part that goes takes its ensemble with it.
    for name, config in sorted(others.items(), key=lambda other: other[1].get("platform") == ENSEMBLE_PLATFORM):
        server.load(name, config=config, timeout_s=timeout_s)


def _versions(config: Mapping[str, Any]) -> list[int]:
    return [int(version) for version in config["version_policy"]["specific"]["versions"]]


def _is_chosen(server: OperatorClient, model: str) -> bool:
    return bool(server.config(model).version_policy.HasField("specific"))


def _as_served(server: OperatorClient, model: str, versions: list[int]) -> Mapping[str, Any]:
    """The configuration of a model, with just the versions that are served now."""
    config = server.config(model)
    config.version_policy.Clear()
    config.version_policy.specific.versions.extend(versions)
    as_json: Mapping[str, Any] = json_format.MessageToDict(config, preserving_proto_field_name=True)
    return as_json
