"""Workers that die, stand still or never finish, on a real server: their models work again, all else stays."""

import shutil
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from cocon.serving.launcher import ServerProcess
from cocon.serving.operator_client import OperatorClient
from cocon.serving.supervision.incidents import IncidentFile
from cocon.serving.supervision.repair import served_versions
from cocon.serving.supervision.supervisor import Supervisor
from tests.serving.supervision.conftest import FOR_EVER

pytestmark = pytest.mark.triton

LookUntil = Callable[..., None]
Count = Callable[..., bool]
Workers = Callable[[str], list[psutil.Process]]


def incidents(server: ServerProcess) -> list[str]:
    return [incident.what for incident in IncidentFile(server.log).read()]


def test_a_model_whose_workers_die_is_restarted_alone_in_the_version_it_had(
    served: ServerProcess, look_until: LookUntil, count: Count, workers: Workers
) -> None:
    look_until(lambda: count("turning") and count("turning_twice"))
    process, others = served.identity, workers("turning_twice")
    folder = served.repository / "turning"
    shutil.copytree(folder / "1", folder / "2")  # what comes meanwhile waits for the operator
    workers("turning")[0].kill()
    look_until(lambda: incidents(served) == ["restarted model 'turning'"])
    assert count("turning")
    assert served.identity == process and workers("turning_twice") == others
    with OperatorClient(served.address) as server:
        assert served_versions(server) == {"turning": [1], "turning_twice": [1]}

    others[0].kill()  # the other one goes on answering
    look_until(lambda: len(incidents(served)) == 2)
    assert all(count("turning_twice") for _ in range(8))
    assert served.identity == process


def test_a_model_that_loses_all_its_workers_at_once_is_restarted_once(
    served: ServerProcess, supervisor: Supervisor, look_until: LookUntil, count: Count, workers: Workers
) -> None:
    look_until(lambda: count("turning_twice"))
    supervisor.look()  # sees them
    lost = workers("turning_twice")
    assert len(lost) == 2
    for worker in lost:
        worker.kill()
    while workers("turning_twice"):
        time.sleep(0.01)
    look_until(lambda: incidents(served) != [])
    assert incidents(served) == ["restarted model 'turning_twice'"]
    assert count("turning_twice")


def test_a_worker_that_stands_still_with_a_request_takes_no_server_with_it(
    served: ServerProcess, look_until: LookUntil, count: Count, workers: Workers
) -> None:
    look_until(lambda: count("turning"))
    process, [worker] = served.identity, workers("turning")
    worker.suspend()
    asking = threading.Thread(target=count, args=("turning",))
    asking.start()
    look_until(lambda: len(incidents(served)) == 1)
    asking.join()
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE  # it cannot go on
    assert count("turning")
    assert served.identity == process and served.is_alive()


def test_a_model_that_hangs_is_restarted_and_one_that_is_busy_is_not(
    served: ServerProcess, look_until: LookUntil, count: Count
) -> None:
    look_until(lambda: count("turning"))
    is_over = threading.Event()

    def keep_busy() -> None:
        while not is_over.is_set():
            count("turning_twice", 250_000, timeout_s=60.0)

    asking = [threading.Thread(target=keep_busy) for _ in range(12)]
    asking.append(threading.Thread(target=count, args=("turning", FOR_EVER), kwargs={"timeout_s": 60.0}))
    for thread in asking:
        thread.start()
    try:
        look_until(lambda: incidents(served) != [])
        asking[-1].join()  # whoever waited for it has got an error
        assert count("turning")
    finally:
        is_over.set()
        for thread in asking:
            thread.join()
    assert incidents(served) == ["restarted model 'turning'"]


def test_what_the_operator_unloads_stays_so(
    served: ServerProcess, supervisor: Supervisor, look_until: LookUntil, count: Count, workers: Workers
) -> None:
    look_until(lambda: count("turning"))
    with OperatorClient(served.address) as server:
        server.unload("turning")
        look_until(lambda: not workers("turning"))
        for _ in range(20):
            supervisor.look()
            time.sleep(0.1)
        assert served_versions(server) == {"turning_twice": [1]}
        server.load("turning")
    assert incidents(served) == []
