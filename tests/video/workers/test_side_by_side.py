"""Tasks side by side: what comes back, and how it ends early."""

import threading
from types import ModuleType

import pytest

from cocon.core.errors import UnreadableVideoError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.workers.pool import WorkerPool
from cocon.video.workers.side_by_side import side_by_side


def test_every_task_gives_its_result_to_the_calling_thread(jobs: ModuleType) -> None:
    results, progress, threads = {}, [], set()

    def note(item: int, result: int) -> None:
        results[item] = result
        threads.add(threading.current_thread())

    side_by_side(
        range(1, 6),
        lambda pool, item: len(list(pool.run(jobs.count, item))),
        note,
        limits=MediaLimits(),
        num_workers=2,
        on_progress=lambda done, total: progress.append((done, total)),
    )
    assert results == {item: item for item in range(1, 6)}
    assert progress == [(done, 5) for done in range(6)]
    assert threads == {threading.current_thread()}


def test_what_a_task_raises_ends_all_and_hanging_workers_are_stopped(jobs: ModuleType) -> None:
    has_begun, stopped = threading.Event(), []

    def task(pool: WorkerPool, item: str) -> None:
        if item == "hang":
            run = pool.run(jobs.hang)
            next(run)
            has_begun.set()
            try:
                next(run)
            except UnreadableVideoError as error:
                stopped.append(str(error))
        elif item == "fail":
            has_begun.wait()
            raise ZeroDivisionError

    seen: list[str] = []
    with pytest.raises(ZeroDivisionError):
        side_by_side(
            ["hang", "fail", *["later"] * 50],
            task,
            lambda item, result: seen.append(item),
            limits=MediaLimits(),
            num_workers=2,
        )
    assert stopped == ["the decoder process died of SIGKILL"]
    assert "hang" not in seen
