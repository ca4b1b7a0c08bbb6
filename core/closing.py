"""What holds something until it is closed."""

from typing import Self

__all__ = ["Closing"]


class Closing:
    """A context manager that closes itself at the end of the block."""

    def close(self) -> None:
        """Let go of what it holds."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
