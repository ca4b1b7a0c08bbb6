"""Work on many videos side by side, each in a worker process, with progress and a clean end."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from typing import TypeVar

from cocon.core.progress import OnProgress
from cocon.video.decoding.limits import MediaLimits
from cocon.video.workers.cores import num_cores
from cocon.video.workers.pool import WorkerPool

__all__ = ["side_by_side"]

T = TypeVar("T")
R = TypeVar("R")

_RECHECK_S = 0.1


def side_by_side(
    items: Sequence[T],
    task: Callable[[WorkerPool, T], R],
    on_result: Callable[[T, R], None],
    *,
    limits: MediaLimits,
    num_workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> None:
    """Call `task(pool, item)` for every item, in threads, and `on_result` here as each one ends.

    Whatever ends the call early, Ctrl-C too: tasks not begun are dropped, worker processes are stopped, and what a
    task does outside them is waited for.

    Args:
        items: subjects of the tasks, begun in this order.
        task: runs its job by `pool.run`.
        on_result: called with an item and what its task returned, in the order in which they end.
        limits: their deadline is the workers'.
        num_workers: tasks at a time; one per core unless given.
        on_progress: called with (number done, total).

    Raises:
        Exception: what a task or `on_result` raised.
    """
    on_progress = on_progress or (lambda done, total: None)
    on_progress(0, len(items))
    with WorkerPool(limits) as pool, ThreadPoolExecutor(num_workers or num_cores()) as threads:
        item_of = {threads.submit(task, pool, item): item for item in items}
        try:
            for num_done, ended in enumerate(as_completed(item_of), start=1):
                on_result(item_of[ended], ended.result())
                on_progress(num_done, len(items))
        finally:
            for task_of_thread in item_of:
                task_of_thread.cancel()
            while wait(item_of, timeout=_RECHECK_S).not_done:
                pool.close()  # again and again: a thread may just be starting a process
