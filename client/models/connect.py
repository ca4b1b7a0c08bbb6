"""From a URL to where the models are: a Triton server, or a model repository opened in this process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cocon.client.models.connections.credentials import NO_CREDENTIALS, Credentials
from cocon.client.models.defaults import DEFAULT_URL
from cocon.client.models.served_work import ServedWork
from cocon.client.models.target import Target
from cocon.core.errors import UsageError
from cocon.embedding.embedder import ModelEmbedder
from cocon.embedding.local import LocalRepository, is_by_gpu
from cocon.embedding.repository import FORMATS, ONNX_RUNTIME, FormatName, check_repository
from cocon.embedding.videos.fused_model import EncoderHost
from cocon.video.workers.cores import num_cores

__all__ = ["ModelHost", "check_url", "connect", "local_root"]

_LOCAL = "local:"


class ModelHost(EncoderHost, Protocol):
    """Something that offers models, and is connected to."""

    @property
    def ready_views(self) -> tuple[str, ...]:
        """Those of `views` whose encoder is ready by now; nothing is waited for."""
        ...

    @property
    def num_lanes(self) -> int:
        """Connections that keep it busy."""
        ...

    @property
    def num_calls(self) -> int:
        """Calls that a model of a connection takes at a time, from as many threads."""
        ...

    @property
    def computes_in_threads(self) -> bool:
        """Whether the thread that asks a model is the one that computes, rather than wait for who does."""
        ...

    @property
    def software(self) -> str:
        """What runs the models, and its version."""
        ...

    def statistics(self, name: str, version: str) -> ServedWork | None:
        """What it has done for a version of a model so far; None where nobody counts, as in this process."""
        ...

    def confirm(self) -> None:
        """See that all answers so far are of the models that were opened; raises `MismatchError` where one is not."""
        ...

    def look_again(self) -> bool:
        """Have the next `open` take what is current by then; whether that is another version of what was opened."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def connect(
    url: str = DEFAULT_URL,
    *,
    timeout_s: float = 30.0,
    deadline_s: float | None = None,
    awaits_start: bool = False,
    model_format: FormatName = "onnx",
    num_threads: int = 0,
    shares_memory: bool = True,
    credentials: Credentials = NO_CREDENTIALS,
    lane: int = 0,
) -> ModelHost:
    """Connect to where the models are.

    Args:
        url: `host:port` for Triton, `grpcs://host:port` by TLS (see `Target.parse`), several with commas between,
            which have the same models; `local:FOLDER` for a model repository in this process.
        timeout_s: Deadline of every request to a server.
        deadline_s: Of a request and its repetitions while a server is away or has no room; `timeout_s` by default.
        awaits_start: Whether a server that has never answered is waited for as long.
        model_format: Which export of a view to use; one that ONNX Runtime runs without a server.
        num_threads: Of each call of a model in this process; all cores by default.
        shares_memory: Whether large tensors go through memory that a server on this machine sees too, where it does.
        credentials: By which a server is known, and who asks it.
        lane: Its number among `num_lanes` connections that work side by side.

    Raises:
        UsageError: The URL has another form, the folder does not exist, TorchScript is asked for without a server, or
            the credentials are none or not for that server.
    """
    check_url(url, model_format, credentials)
    if (root := local_root(url)) is not None:
        return _LocalHost(root, FORMATS[model_format], num_threads)
    from cocon.client.models.server import TritonServer

    return TritonServer(
        url,
        timeout_s=timeout_s,
        deadline_s=deadline_s,
        awaits_start=awaits_start,
        model_format=model_format,
        shares_memory=shares_memory,
        credentials=credentials,
        lane=lane,
    )


def check_url(url: str, model_format: FormatName, credentials: Credentials = NO_CREDENTIALS) -> None:
    """Refuse what `connect` cannot connect to, whether or not a server is there; raises like it."""
    if (root := local_root(url)) is None:
        for target in Target.parse_all(url):
            credentials.check(target)
        return
    check_repository(root)
    if FORMATS[model_format].backend != ONNX_RUNTIME:
        raise UsageError(f"--model-format {model_format} needs a server; '{url}' runs ONNX")


def local_root(url: str) -> Path | None:
    """The folder that a URL names in this process; None if it is a server's."""
    return Path(url[len(_LOCAL) :]) if url[: len(_LOCAL)].lower() == _LOCAL else None


class _LocalHost(LocalRepository):
    """A repository that is asked like a server."""

    __slots__ = ()

    @property
    def url(self) -> str:
        return f"{_LOCAL}{self.root}"

    @property
    def ready_views(self) -> tuple[str, ...]:
        return self.views

    @property
    def num_lanes(self) -> int:
        return 1

    @property
    def num_calls(self) -> int:
        """As many as there are threads for, on a processor. ONNX Runtime's sessions may be called at the same time."""
        return max(1, num_cores() // self.num_threads) if self.computes_in_threads else 1

    @property
    def computes_in_threads(self) -> bool:
        return self.num_threads > 0 and not is_by_gpu()

    @property
    def software(self) -> str:
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}, in this process"

    def statistics(self, name: str, version: str) -> None:
        """Nothing is counted: whoever calls can take the time."""

    def joint(self, models: Mapping[str, ModelEmbedder]) -> None:
        """None: a request in this process costs nothing."""

    def confirm(self) -> None:
        """Nothing can have changed: a session keeps its file."""

    def look_again(self) -> bool:
        """Whoever opens models here keeps them."""
        return False

    def close(self) -> None:
        """Nothing is held: sessions end with their models."""
