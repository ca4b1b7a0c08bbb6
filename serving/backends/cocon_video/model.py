"""The backend `cocon_video`, loaded by Triton's Python worker: the bytes of a video in, vectors of its clips out.

| tensor | type and shape | what |
|---|---|---|
| `video` | uint8 [num_bytes] | input: the file |
| `start_seconds`, `end_seconds` | float64 [K] | of the clips, after the first frame |
| `embedding` | float32 [K, D] | unit length, the views fused |
| `blocks` | float32 [K, N, D] | likewise of each clip's blocks |
| `probabilities` | float32 [K, L] | of the classes, where all views know the same |
| `embedding_<view>` | float32 [K, D] | unit length, of that view alone |
| `about` | string [1] | JSON: what the rows of all clips share, `cocon_video.asked` and `_about` |

`asked` has the parameters of a request. An output is computed only if it is asked for. An error is
`<class>: <sentence>`, in the words of the client for the same file: `INVALID_ARGUMENT` where the request or its video
is at fault, `UNAVAILABLE` where an encoder is away, `CANCELLED`, otherwise `INTERNAL`.

Honours from `config.pbtxt`: `instance_group`, each of which works on one video at a time; the parameters `limits`
(`NAME=NUMBER`, blanks between them) and `deadline_s`.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import CoconError, ServerError, UsageError, VideoError
from cocon.core.printable import in_one_line, printable
from cocon.embedding.contract import BLOCKS, EMBEDDING, PROBABILITIES
from cocon.embedding.videos.call_record import DEADLINE_KEY, LIMITS_KEY, VIDEO_DEADLINE_S, VIDEO_FILE, CallRecord
from cocon.serving.backends.cocon_video.asked import Asked
from cocon.serving.backends.cocon_video.called_encoders import CalledEncoders
from cocon.serving.backends.cocon_video.embedding_service import CancelledRequestError, EmbeddedVideo, EmbeddingService
from cocon.serving.backends.cocon_video.told_metrics import VideoMetrics
from cocon.serving.supervision.settings import QUESTION_ID
from cocon.video.decoding.limits import MediaLimits

_logger = logging.getLogger(__name__)

_VIDEO, _ABOUT, _STARTS, _ENDS = "video", "about", "start_seconds", "end_seconds"


class TritonPythonModel:
    """One instance; the name is Triton's."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read which encoders are called, and start a decoder.

        Raises:
            MismatchError: The record of this version is damaged.
            UsageError: A limit of the configuration is none.
        """
        config = json.loads(args["model_config"])
        path = Path(args["model_repository"], args["model_version"], config["default_model_filename"] or VIDEO_FILE)
        record = CallRecord.from_json(path.read_text(encoding="utf-8"), source=f"'{path}'")
        limits = MediaLimits.parse(_parameter(config, LIMITS_KEY).split())
        deadline_s = float(_parameter(config, DEADLINE_KEY) or VIDEO_DEADLINE_S)
        self._metrics = VideoMetrics()
        self._service = EmbeddingService(CalledEncoders(record), limits, deadline_s=deadline_s)

    def execute(self, requests: Sequence[Any]) -> list[object]:
        """EmbeddedVideo requests one after the other."""
        return [self._response(request) for request in requests]

    def finalize(self) -> None:
        """End the decoder."""
        self._service.close()

    def _response(self, request: Any) -> object:  # noqa: ANN401  # of Triton's worker
        import triton_python_backend_utils as triton  # exists only there

        content: NDArray[np.uint8] = triton.get_input_tensor_by_name(request, _VIDEO).as_numpy()
        wanted = set(request.requested_output_names())
        try:
            video = self._service.embed(
                content,
                Asked.of(request.parameters()),
                has_probabilities=PROBABILITIES in wanted,
                is_cancelled=request.is_cancelled,
            )
            tensors = [triton.Tensor(name, values) for name, values in _outputs(video) if name in wanted]
        except Exception as error:  # whatever it is belongs to this request, not to the server
            if request.request_id() != QUESTION_ID:  # which is no video, and need not be one
                self._metrics.count(content.nbytes, error=error)
            code, text = _told(error)
            return triton.InferenceResponse([], triton.TritonError(text, getattr(triton.TritonError, code)))
        self._metrics.count(content.nbytes, num_clips=len(video.embedding))
        return triton.InferenceResponse(tensors)


def _outputs(answer: EmbeddedVideo) -> Iterator[tuple[str, NDArray[Any]]]:
    """Name and values of every output."""
    embedding = answer.embedding
    yield _STARTS, embedding.start_seconds
    yield _ENDS, embedding.end_seconds
    yield EMBEDDING, embedding.embedding
    yield BLOCKS, embedding.blocks
    if embedding.probabilities is not None:
        yield PROBABILITIES, embedding.probabilities
    for view, outputs in answer.views.items():
        yield f"{EMBEDDING}_{view}", outputs.embedding
    yield _ABOUT, np.array([_about(answer).encode()], dtype=np.object_)


def _about(answer: EmbeddedVideo) -> str:
    """What the rows of all clips share, as a JSON object."""
    embedding = answer.embedding
    about = {
        "video": printable(embedding.video),
        "content_sha256": embedding.content_sha256,
        "view": embedding.view,
        "num_frames": embedding.num_frames,
        "truncated": embedding.truncated,
        "model": embedding.model,
        "version": embedding.version,
        "fingerprint": embedding.fingerprint,
        "missing": dict(embedding.missing),
        "made_by": dict(embedding.made_by),
        "notes": list(answer.notes),
        "labels": list(answer.labels) if embedding.probabilities is not None else [],
    }
    return json.dumps(about)


def _told(error: Exception) -> tuple[str, str]:
    """Name of Triton's code for an error, and its text."""
    text = f"{type(error).__name__}: {in_one_line(error)}"
    match error:
        case VideoError() | UsageError():
            return "INVALID_ARG", text
        case ServerError():
            return "UNAVAILABLE", text
        case CancelledRequestError():
            return "CANCELLED", text
        case CoconError():
            return "INTERNAL", text
    _logger.exception("a request failed")
    return "INTERNAL", text


def _parameter(config: Mapping[str, Any], name: str) -> str:
    """A parameter's text; empty where there is none."""
    return str(config["parameters"].get(name, {}).get("string_value", ""))
