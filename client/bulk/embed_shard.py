"""What an actor of Ray does: it opens the models once, and makes shards on one core."""

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from cocon.client.bulk.shard import RowSizes, Shard, ShardHead, ShardInput, shard_bytes
from cocon.client.bulk.warnings_heard import heard_warnings
from cocon.client.index.records import is_lasting_kind
from cocon.client.models.connections.credentials import Credentials
from cocon.client.pipeline.embedder_settings import EmbedderSettings
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding, completed
from cocon.core.closing import Closing
from cocon.core.errors import CoconError, MismatchError, ServerError, UsageError
from cocon.core.printable import in_one_line, printable, unescaped
from cocon.video.decoding.limits import MediaLimits

__all__ = ["EmbedShard", "settings_from_json"]


class EmbedShard(Closing):
    """Makes shards. What is wrong with more than a video is told with the first one, and never raised: Ray would retry.

    Args:
        job: As JSON: `settings` of the embedder, `version` of cocon, `folder` that paths are relative to, `fingerprint`
            and `model_version` that the models must have, `made_by` as `VideoEmbedder.refer_to` takes it.
    """

    def __init__(self, job: str) -> None:
        self._job: dict[str, Any] = json.loads(job)
        self._embedder: VideoEmbedder | None = None

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Make a shard.

        Args:
            row: `request`, as JSON: `number`, `key`, and `videos` as `ShardInput.as_json`.

        Returns:
            `number`, `content`, the bytes of the shard, and `error`, as JSON with `class` and `message`, or empty.
        """
        request = json.loads(row["request"])
        told, content = "", b""
        try:
            content = self._shard(request["key"], tuple(map(ShardInput.from_json, request["videos"])))
        except CoconError as error:
            told = _told(error)
        except Exception as error:  # a shard is lost only with its worker
            told = _told(ServerError(f"a worker of Ray failed: {type(error).__name__}: {in_one_line(error)}"))
        return {"number": request["number"], "content": content, "error": told}

    def close(self) -> None:
        """Stop the decoders; Ray does it by ending the process."""
        if self._embedder is not None:
            self._embedder.close()

    def _shard(self, key: str, inputs: tuple[ShardInput, ...]) -> bytes:
        embedder = self._opened()
        with heard_warnings() as warnings:
            results = tuple(map(completed, embedder.embed_many([given.video for given in inputs])))
        model = embedder.model
        head = ShardHead(key, model.fingerprint, inputs, tuple(map(_is_lasting, results)))
        return shard_bytes(Shard(head, results, tuple(warnings)), RowSizes.of(model))

    def _opened(self) -> VideoEmbedder:
        if self._embedder is None:
            if (installed := version("cocon")) != self._job["version"]:
                raise MismatchError(
                    f"cocon {installed} is installed on {_here()}, {self._job['version']} where the command runs; "
                    "install the same everywhere"
                )
            _enter(unescaped(self._job["folder"]))
            embedder = settings_from_json(self._job["settings"]).open()
            found = [embedder.model.fingerprint, embedder.model.version]
            if found != [self._job["fingerprint"], self._job["model_version"]]:
                embedder.close()
                raise MismatchError(f"{_here()} has other models than where the command runs; give all the same")
            embedder.refer_to({view: tuple(names) for view, names in self._job["made_by"].items()})
            self._embedder = embedder
        return self._embedder


def _told(error: CoconError) -> str:
    return json.dumps({"class": type(error).__name__, "message": in_one_line(error)})


def settings_from_json(content: Mapping[str, Any]) -> EmbedderSettings:
    """Settings from what `dataclasses.asdict` made of them."""
    limits, credentials = MediaLimits(**content["limits"]), Credentials(**content["credentials"])
    return EmbedderSettings(**{**content, "limits": limits, "credentials": credentials})


def _enter(folder: str) -> None:
    """Read relative paths as the command does."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise UsageError(
            f"folder '{printable(folder)}' is not on {_here()}: {error.strerror}; run the command in a folder that all "
            "machines share"
        ) from error


def _here() -> str:
    return f"worker machine '{platform.node()}'"


def _is_lasting(result: VideoEmbedding | FailedVideo) -> bool:
    return not isinstance(result, FailedVideo) or is_lasting_kind(type(result.error).__name__)
