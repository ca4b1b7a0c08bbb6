"""Where things are unless something else is said."""

from cocon.embedding.server_ports import GRPC_PORT

__all__ = ["API_KEY_HEADER", "BATCH_DEADLINE_S", "DEFAULT_INDEX", "DEFAULT_URL"]

DEFAULT_URL = f"127.0.0.1:{GRPC_PORT}"
DEFAULT_INDEX = "index"
API_KEY_HEADER = "authorization"
"""What a key is sent as unless another header is named; there, `Bearer` stands before it."""
# How long work on many videos waits for a server that went away.
BATCH_DEADLINE_S = 300.0
