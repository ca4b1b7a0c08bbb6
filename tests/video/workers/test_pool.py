"""Worker processes: what comes back, what a hang or a death costs, and that nothing is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cocon.core.errors import NoVideoStreamError, TimedOutError, UnreadableVideoError, WorkerDiedError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.workers.pool import WorkerPool, named
from tests.video.processes import children_of

pytestmark = pytest.mark.videos

HERE = Path(__file__).parent


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool() as pool:
        yield pool


@pytest.fixture
def hasty() -> Iterator[WorkerPool]:
    """A pool whose deadline is worth waiting for, and still longer than a busy machine takes for a message."""
    with WorkerPool(MediaLimits(frame_timeout_s=2)) as pool:
        yield pool


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _wait_until_gone(process: int) -> None:
    while _is_running(process):  # the test's own timeout ends this
        time.sleep(0.05)


def test_messages_come_back_in_order_with_their_arrays(jobs: ModuleType, pool: WorkerPool) -> None:
    messages = list(pool.run(jobs.count, 10, step=3))
    assert [message.fields["index"] for message in messages] == [0, 3, 6, 9]
    assert [message.arrays["square"].tolist() for message in messages] == [[[0.0]], [[9.0]], [[36.0]], [[81.0]]]


def test_a_prepared_process_takes_the_first_job(jobs: ModuleType, pool: WorkerPool) -> None:
    before = children_of(os.getpid())
    pool.prepare()
    pool.prepare()
    started = children_of(os.getpid()) - before
    assert len(started) == 1
    assert len(list(pool.run(jobs.count, 3, step=1))) == 3
    assert children_of(os.getpid()) - before == started


def test_processes_give_way_where_they_are_to(jobs: ModuleType) -> None:
    before, ours = children_of(os.getpid()), os.getpriority(os.PRIO_PROCESS, 0)
    with WorkerPool(niceness=3) as polite:
        assert len(list(polite.run(jobs.count, 3, step=1))) == 3
        (process,) = children_of(os.getpid()) - before
        threads = [int(thread.name) for thread in Path(f"/proc/{process}/task").iterdir()]
        assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads} == {3}
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours


def test_arrays_larger_than_any_buffer_and_empty_ones_arrive_whole(jobs: ModuleType, pool: WorkerPool) -> None:
    (message,) = pool.run(jobs.give_large, 3_000_000)
    assert np.array_equal(message.arrays["ramp"], np.arange(3_000_000))
    assert (message.arrays["none"].shape, message.fields["text"]) == ((0, 3), "ä")


def test_a_process_stays_for_the_next_job_also_after_an_error(jobs: ModuleType, pool: WorkerPool) -> None:
    (first,) = {message.fields["process"] for message in pool.run(jobs.count, 3)}
    with pytest.raises(NoVideoStreamError, match=r"^'x\.mp3' has no video stream$"):
        list(pool.run(jobs.refuse))
    assert {message.fields["process"] for message in pool.run(jobs.count, 3)} == {first}


def test_jobs_asked_for_from_several_threads_run_side_by_side(jobs: ModuleType, pool: WorkerPool) -> None:
    barrier = threading.Barrier(3)

    def process_of(_: int) -> int:
        run = pool.run(jobs.count, 3)
        process = next(run).fields["process"]
        barrier.wait()  # nobody goes on before all three have begun
        assert len(list(run)) == 2
        return process

    with ThreadPoolExecutor(3) as threads:
        assert len(set(threads.map(process_of, range(3)))) == 3


@pytest.mark.parametrize("job", ["hang", "hang_and_keep_the_lock"])
def test_a_hang_ends_at_the_deadline_and_the_next_job_runs(job: str, jobs: ModuleType, hasty: WorkerPool) -> None:
    run = hasty.run(getattr(jobs, job))
    process = next(run).fields["process"]
    with pytest.raises(TimedOutError, match=r"no new frame for 2 s"):
        next(run)
    assert not _is_running(process)
    assert len(list(hasty.run(jobs.count, 3))) == 3


def test_a_process_that_stops_in_the_midst_of_a_message_is_late(jobs: ModuleType, hasty: WorkerPool) -> None:
    run = hasty.run(jobs.give_large_twice, 100_000)  # more than a pipe holds: the second is sent in part
    next(run)
    (worker,) = hasty._busy
    os.kill(worker._process.pid, signal.SIGSTOP)
    with pytest.raises(TimedOutError, match="no new frame for 2 s"):
        next(run)


def test_signs_of_life_keep_a_long_job_alive(jobs: ModuleType, hasty: WorkerPool) -> None:
    (message,) = hasty.run(jobs.work_long_with_signs_of_life, 2.5)
    assert message.fields == {"done": True}


def test_a_consumer_may_take_its_time(jobs: ModuleType, hasty: WorkerPool) -> None:
    run = hasty.run(jobs.give_large_twice, 3_000_000)
    next(run)
    time.sleep(3.5)  # longer than an orphan may live, 3 s
    assert len(list(run)) == 1


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_death_is_an_unreadable_video(number: signal.Signals, jobs: ModuleType, pool: WorkerPool) -> None:
    with pytest.raises(UnreadableVideoError, match=f"died of {number.name}"):
        list(pool.run(jobs.die, int(number)))
    assert len(list(pool.run(jobs.count, 3))) == 3


def test_a_process_that_died_while_idle_is_replaced(jobs: ModuleType, pool: WorkerPool) -> None:
    (first,) = {message.fields["process"] for message in pool.run(jobs.count, 3)}
    os.kill(first, signal.SIGKILL)
    _wait_until_gone(first)
    (second,) = {message.fields["process"] for message in pool.run(jobs.count, 3)}
    assert second != first


def test_an_error_is_made_to_name_its_video(jobs: ModuleType, pool: WorkerPool) -> None:
    with pytest.raises(WorkerDiedError, match=r"^video 'a\.mp4': the decoder process ended"):
        list(named(pool.run(jobs.leave), Path("a.mp4")))
    with pytest.raises(NoVideoStreamError, match=r"^'x\.mp3' has"):
        list(named(pool.run(jobs.refuse), Path("x.mp3")))


def test_a_process_that_leaves_is_an_unreadable_video(jobs: ModuleType, pool: WorkerPool) -> None:
    with pytest.raises(UnreadableVideoError, match="exit code 7"):
        list(pool.run(jobs.leave))


def test_an_error_nobody_meant_is_one_line(jobs: ModuleType, pool: WorkerPool) -> None:
    with pytest.raises(UnreadableVideoError, match=r"^reading failed with ZeroDivisionError: no frames$"):
        list(pool.run(jobs.stumble))


def test_a_job_that_is_called_off_is_stopped(jobs: ModuleType, pool: WorkerPool) -> None:
    run = pool.run(jobs.hang)
    process = next(run).fields["process"]
    run.close()
    _wait_until_gone(process)


def test_closing_the_pool_stops_idle_and_busy_processes(jobs: ModuleType) -> None:
    pool = WorkerPool()
    list(pool.run(jobs.count, 1))
    runs = [pool.run(jobs.hang), pool.run(jobs.hang)]
    processes = [next(run).fields["process"] for run in runs]
    pool.close()
    assert not any(map(_is_running, processes))
    for run in runs:
        run.close()


def test_workers_write_nothing_on_our_terminal(
    jobs: ModuleType, pool: WorkerPool, capfd: pytest.CaptureFixture[str]
) -> None:
    list(pool.run(jobs.scribble))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("job", "arguments"), [("work_long_with_signs_of_life", (3600,)), ("hang_and_keep_the_lock", ())]
)
def test_workers_do_not_outlive_a_killed_parent(
    job: str, arguments: tuple[int, ...], jobs: ModuleType, tmp_path: Path
) -> None:
    note = tmp_path / "worker"
    program = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
import worker_jobs
from pathlib import Path
import cocon.video.workers.worker_main
from cocon.video.decoding.limits import MediaLimits
from cocon.video.workers.pool import WorkerPool
pool = WorkerPool(MediaLimits(frame_timeout_s=2))
(message,) = pool.run(worker_jobs.count, 1)
Path({str(note)!r}).write_text(str(message.fields["process"]))
for _ in pool.run(worker_jobs.{job}, *{arguments!r}): pass
"""
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        try:
            while not note.is_file() or not note.read_text():
                assert parent.poll() is None
                time.sleep(0.05)
            process = int(note.read_text())
            time.sleep(0.3)
            assert parent.poll() is None
            assert _is_running(process)
        finally:
            parent.kill()
    _wait_until_gone(process)


def test_modules_beside_the_videos_are_not_imported(
    jobs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported a stranger')\n")
    monkeypatch.chdir(tmp_path)
    with WorkerPool() as pool:
        assert len(list(pool.run(jobs.count, 3))) == 3
