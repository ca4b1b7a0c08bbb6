"""From a URL to where the models are."""

from pathlib import Path

from cocon.client.models.defaults import DEFAULT_URL
from cocon.client.models.host import ModelHost
from cocon.client.models.local import LOCAL, LocalHost
from cocon.core.errors import UsageError
from cocon.embedding.repository import FORMATS, ONNX_RUNTIME, FormatName, check_repository

__all__ = ["connect"]


def connect(url: str = DEFAULT_URL, *, timeout_s: float = 30.0, model_format: FormatName = "onnx") -> ModelHost:
    """Connect to where the models are.

    Args:
        url: `host:port` or `grpc://host:port` for Triton, `local:FOLDER` for a model repository in this process.
        timeout_s: Deadline of every request to a server.
        model_format: Which export of a view to use; one that ONNX Runtime runs without a server.

    Raises:
        UsageError: The URL has another form, the folder does not exist, or TorchScript is asked for without a server.
    """
    if url.startswith(LOCAL):
        root = Path(url.removeprefix(LOCAL))
        check_repository(root)
        if FORMATS[model_format].backend != ONNX_RUNTIME:
            raise UsageError(f"--model-format {model_format} needs a server; '{url}' runs ONNX")
        return LocalHost(root, FORMATS[model_format])
    host, separator, port = url.removeprefix("grpc://").rpartition(":")
    if not separator or not host or "/" in host or not port.isdigit():
        raise UsageError(f"--url '{url}' is neither HOST:PORT, grpc://HOST:PORT nor local:FOLDER")
    from cocon.client.models.server import TritonServer

    return TritonServer(url, timeout_s=timeout_s, model_format=model_format)
