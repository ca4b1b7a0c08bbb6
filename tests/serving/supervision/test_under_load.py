"""Workers that die or stand still again and again while clients ask: who asks again gets every answer."""

import random
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from cocon.serving.launcher import ServerProcess
from cocon.serving.supervision.incidents import IncidentFile
from cocon.serving.supervision.supervisor import Supervisor

pytestmark = pytest.mark.triton

NUM_CALLERS = 4


@pytest.fixture
def watching(supervisor: Supervisor) -> Iterator[None]:
    """The supervisor at work, in a thread of its own."""
    is_over = threading.Event()
    thread = threading.Thread(target=supervisor.watch, kwargs={"while_": lambda: not is_over.is_set()})
    thread.start()
    yield
    is_over.set()
    thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("stands_still_s", [0.0, 0.5, 1.2, 3.0])
def test_twenty_lost_workers_cost_nobody_an_answer(
    served: ServerProcess,
    watching: None,
    count: Callable[..., bool],
    workers: Callable[[str], list[psutil.Process]],
    stands_still_s: float,
) -> None:
    answers = [0] * NUM_CALLERS
    is_over = threading.Event()

    def ask(caller: int) -> None:
        while not is_over.is_set():
            answers[caller] += count("turning", random.randrange(1, 1000))

    callers = [threading.Thread(target=ask, args=(caller,)) for caller in range(NUM_CALLERS)]
    for caller in callers:
        caller.start()
    for _ in range(20):
        seen = sum(answers)
        deadline = time.monotonic() + 60
        while sum(answers) < seen + NUM_CALLERS and time.monotonic() < deadline:
            time.sleep(0.05)
        assert sum(answers) > seen
        for worker in workers("turning"):
            if not stands_still_s:
                worker.kill()
                continue
            worker.suspend()
            time.sleep(stands_still_s)
            worker.resume()
    is_over.set()
    for caller in callers:
        caller.join()
    happened = [incident.what for incident in IncidentFile(served.log).read()]
    assert all(answers)
    assert happened.count("restarted model 'turning'") >= 10
    # One that goes on before it is seen to stand still takes the server with it: that is rare, and not the end.
    assert happened.count("restarted the server") <= (1 if stands_still_s else 0)
