"""The operator's commands reach a container as they reach `cocon serve`: by the key in the file, and by it alone."""

import pytest

from cocon.core.errors import ServerError
from cocon.embedding.server_keys import OPERATOR_KEY
from cocon.serving.operator_client import OperatorClient
from tests.serving.deploy.conftest import KEY_OF_OPERATOR, Deployed

pytestmark = pytest.mark.triton


def test_the_operator_loads_models_by_the_key_in_the_file(deployed: Deployed) -> None:
    path = OPERATOR_KEY.path(deployed.address.grpc_port)
    path.parent.mkdir(parents=True, exist_ok=True)
    with OperatorClient(deployed.address) as stranger, pytest.raises(ServerError):
        stranger.load("cocon_rgb")
    try:
        path.touch(mode=0o600)
        path.write_text(f"{KEY_OF_OPERATOR}\n", encoding="ascii")
        with OperatorClient(deployed.address) as operator:
            operator.load("cocon_rgb")
            assert [entry.name for entry in operator.index()] == ["cocon_rgb"]
    finally:
        path.unlink()
