"""A server that ends by itself: it comes back with the keys it had, as long as that helps."""

import shutil
from collections.abc import Callable

import psutil
import pytest

from cocon.core.errors import ServerError
from cocon.serving.launcher import ServerProcess
from cocon.serving.operator_client import OperatorClient
from cocon.serving.supervision.crash_logs import kept_logs
from cocon.serving.supervision.incidents import IncidentFile
from cocon.serving.supervision.repair import served_versions
from cocon.serving.supervision.supervisor import Supervisor

pytestmark = pytest.mark.triton


def test_a_server_that_ends_is_started_again_until_that_helps_no_more(
    served: ServerProcess,
    supervisor: Supervisor,
    look_until: Callable[..., None],
    count: Callable[..., bool],
) -> None:
    supervisor.look()  # sees what is served
    shutil.copytree(served.repository / "turning" / "1", served.repository / "turning" / "2")  # waits for the operator
    psutil.Process(served.identity.pid).kill()
    look_until(lambda: served.is_alive() and count("turning"))
    assert [incident.what for incident in IncidentFile(served.log).read()] == ["restarted the server"]
    assert len(kept_logs(served.log)) == 1
    with OperatorClient(served.address) as server:  # the key is still good
        assert served_versions(server) == {"turning": [1], "turning_twice": [1]}

    for version in ("1", "2"):
        (served.repository / "turning" / version / "model.onnx").write_bytes(b"garbage")
    psutil.Process(served.identity.pid).kill()
    with pytest.raises(ServerError, match=r"tritonserver has ended: .*, 3 restarts have not helped; log: .*crash-"):
        look_until(lambda: False, limit_s=120)
    assert not served.is_alive()
