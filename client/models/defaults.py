"""Where things are unless something else is said."""

from cocon.embedding.server_ports import GRPC_PORT

__all__ = ["DEFAULT_INDEX", "DEFAULT_URL"]

DEFAULT_URL = f"127.0.0.1:{GRPC_PORT}"
DEFAULT_INDEX = "index"
