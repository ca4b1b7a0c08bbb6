"""The process that asks Ray, so that what Ray prints, starts and leaves behind is no concern of the command's.

It reads requests from standard input, a JSON object a line, and answers on standard output likewise:

    {"address": null, "num_cpus": 2, "pythonpath": ""}                      → {"num_workers": 2}
    {"job": "...", "shards": [{"path": "...", "request": "..."}, ...]}      → {"done": 0} ..., {"finished": true}

or `{"error": {"class", "message"}}`, its last word. Where standard input ends, Ray ends: also when the command was
killed. Everything else that is printed is a log.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TextIO

from cocon.client.bulk.embed_shard import EmbedShard
from cocon.core.atomic import replacing
from cocon.core.errors import CoconError, ServerError
from cocon.core.printable import in_one_line

__all__ = ["main"]

# Results on their way: shards are some megabytes.
_OBJECT_STORE_BYTES = 256 << 20
# Sockets lie in the folder, and the system takes paths of 107 bytes.
_MAX_FOLDER_BYTES = 20
_MAX_REASON = 300
_CONNECT_TIMEOUT_S = 10.0
# Of a shard whose worker died.
_MAX_RETRIES = 3
_JOIN_TIMEOUT_S = 90.0
_END_TIMEOUT_S = 20.0
_QUIET: Mapping[str, Any] = {"log_to_driver": False, "configure_logging": False}


class _Requests:
    """What is asked, one after the other; the main thread is interrupted where nobody asks any more."""

    def __init__(self, stream: TextIO) -> None:
        self._lines: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._listen, args=[stream], daemon=True).start()

    def next(self) -> dict[str, Any]:
        request: dict[str, Any] = json.loads(self._lines.get())
        return request

    def _listen(self, stream: TextIO) -> None:
        for line in stream:
            self._lines.put(line)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(_END_TIMEOUT_S)
        _end_group()  # it is in a call that cannot be interrupted
        os._exit(1)


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(
        prefix="cocon-ray-", dir=folder if len(os.fsencode(folder)) <= _MAX_FOLDER_BYTES else "/tmp",
        ignore_cleanup_errors=True,
    ) as own:  # fmt: skip
        os.chdir(own)  # workers of Ray look for modules where it was started
        try:
            _answer(_Requests(sys.stdin), answers, own)
        except KeyboardInterrupt:
            pass
        except CoconError as error:
            _tell(answers, error)


def _tell(answers: TextIO, answer: Mapping[str, Any] | CoconError) -> None:
    if isinstance(answer, CoconError):
        answer = {"error": {"class": type(answer).__name__, "message": in_one_line(answer)}}
    print(json.dumps(answer), file=answers, flush=True)


def _answer(requests: _Requests, answers: TextIO, folder: str) -> None:
    begin = requests.next()
    _check_listens(begin["address"] or "")
    _prepare(is_local=begin["address"] is None)
    import ray

    try:
        _start(begin, folder, answers)
        num_workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        _tell(answers, {"num_workers": num_workers})
        while True:
            wave = requests.next()
            for number in _shards(wave, num_workers):
                _tell(answers, {"done": number})
            _tell(answers, {"finished": True})
    finally:
        ray.shutdown()


def _prepare(*, is_local: bool) -> None:
    """What Ray reads when it is imported."""
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_DATA_DISABLE_PROGRESS_BARS="1")
    if is_local:  # nothing listens beyond this machine, and nobody else on it is listened to
        os.environ.update(
            RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32)
        )


def _start(begin: Mapping[str, Any], folder: str, answers: TextIO) -> None:
    address = begin["address"]
    try:
        if address is None:
            _start_here(begin["num_cpus"], folder)
        else:
            _join(address, begin["pythonpath"], folder, answers)
    except ConnectionError as error:
        told = "" if os.environ.get("RAY_AUTH_MODE") else "; one that wants a token needs RAY_AUTH_MODE=token"
        raise ServerError(f"no Ray cluster answers at '{address}': {_reason(error)}{told}") from error
    except Exception as error:  # Ray's own share no base class
        where = "cannot start" if address is None else f"cannot be used at '{address}'"
        raise ServerError(f"Ray {where}: {_reason(error)}") from error


def _start_here(num_cpus: int, folder: str) -> None:
    """Start a cluster; once more if it is late, as on a busy machine: Ray gives it half a minute."""
    import ray

    for is_last in (False, True):
        try:
            ray.init(
                address="local",  # whatever RAY_ADDRESS says
                num_cpus=num_cpus,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                _temp_dir=f"{folder}/r",  # which Ray opens to everybody: the folder around it is private
                **_QUIET,
            )
        except Exception:
            ray.shutdown()
            if is_last:
                raise
        else:
            return


def _join(address: str, pythonpath: str, folder: str, answers: TextIO) -> None:
    import ray

    def give_up() -> None:
        _tell(answers, ServerError(f"no Ray cluster answers at '{address}' within {_JOIN_TIMEOUT_S:g} s; is it one?"))
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(ServerError.exit_code)

    watch = threading.Timer(_JOIN_TIMEOUT_S, give_up)  # Ray may try for ever
    watch.daemon = True
    watch.start()
    ray.init(address=address, runtime_env={"env_vars": {"PYTHONPATH": pythonpath}} if pythonpath else None, **_QUIET)
    watch.cancel()


def _check_listens(address: str) -> None:
    """Raise `ServerError` where nobody listens; Ray would try for minutes."""
    host, mark, port = address.rpartition(":")
    try:
        if mark:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise ServerError(f"no Ray cluster answers at '{address}': {error.strerror or error}") from error


def _shards(wave: Mapping[str, Any], num_workers: int) -> Iterator[int]:
    """Make shards; their numbers, each when its file is there. One whose worker dies every time is left out."""
    import ray.data
    from ray.data import ActorPoolStrategy, DataContext

    requests = [{"request": shard["request"]} for shard in wave["shards"]]
    paths = [Path(shard["path"]) for shard in wave["shards"]]
    num_actors = min(num_workers, len(requests))
    DataContext.get_current().max_errored_blocks = -1  # `EmbedShard` raises nothing, so those are of dead workers
    made = ray.data.from_items(requests, override_num_blocks=len(requests)).map(
        EmbedShard,
        fn_constructor_args=[wave["job"]],
        compute=ActorPoolStrategy(
            min_size=1, max_size=num_actors, initial_size=num_actors, max_tasks_in_flight_per_actor=1
        ),
        num_cpus=1,
        max_task_retries=_MAX_RETRIES,
    )
    try:
        for row in made.iter_rows():
            if row["error"]:
                raise _error(json.loads(row["error"]))
            with replacing(paths[row["number"]]) as partial:
                partial.write_bytes(row["content"])
            yield row["number"]
    except CoconError:
        raise
    except Exception as error:  # as above
        raise ServerError(f"Ray gave up: {_reason(error)}") from error


def _error(told: Mapping[str, str]) -> CoconError:
    from cocon.core import errors

    kind: type[CoconError] = getattr(errors, told["class"], CoconError)
    return kind(told["message"])


def _reason(error: Exception) -> str:
    """The beginning of what Ray says, which can be pages."""
    text = in_one_line(error)
    return text if len(text) <= _MAX_REASON else f"{text[:_MAX_REASON]}…"


def _end_group() -> None:
    """End this process, and what Ray forgets of what it was just starting: agents, which stay for a minute."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
    _end_group()
