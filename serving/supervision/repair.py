"""Give a model new workers while its server goes on: end the old ones, unload it, and load it as it was.

A repair changes no version: the server is handed the configuration that it served, so what has come into the
repository since waits for its turn, and ensembles that went with the model come back with it.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from tritonclient.utils import InferenceServerException

from cocon.core.errors import ServerError
from cocon.serving.operator_client import OperatorClient
from cocon.serving.supervision.workers import WorkerWatch

__all__ = ["restart_model", "served_versions"]

_CALL_TIMEOUT_S = 10.0


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
    before = served_versions(server)
    if model not in before:
        return  # the operator has unloaded it meanwhile
    configurations = {name: _as_served(server, name, versions) for name, versions in before.items()}
    workers.kill(model)
    server.unload(model, timeout_s=timeout_s)
    server.load(model, config=configurations[model], timeout_s=timeout_s)
    for name, versions in before.items():
        if served_versions(server).get(name) != versions:
            server.load(name, config=configurations[name], timeout_s=timeout_s)


def _as_served(server: OperatorClient, model: str, versions: list[int]) -> Mapping[str, Any]:
    """The configuration of a model, with just the versions that are served now."""
    try:
        config = server.connection.get_model_config(model, client_timeout=_CALL_TIMEOUT_S).config
    except InferenceServerException as error:
        raise ServerError(f"the server does not tell the configuration of '{model}': {error.message()}") from error
    config.version_policy.Clear()
    config.version_policy.specific.versions.extend(versions)
    as_json: Mapping[str, Any] = json_format.MessageToDict(config, preserving_proto_field_name=True)
    return as_json
