"""Models of a repository on this machine, run by ONNX Runtime in this process."""

from cocon.embedding.local import LocalRepository

__all__ = ["LOCAL", "LocalHost"]

LOCAL = "local:"
"""What the URL of a folder begins with."""


class LocalHost(LocalRepository):
    """A repository that is asked like a server; arguments as of `LocalRepository`."""

    __slots__ = ()

    @property
    def url(self) -> str:
        """`local:` and the folder."""
        return f"{LOCAL}{self.root}"

    @property
    def num_lanes(self) -> int:
        """One: ONNX Runtime uses all cores for one batch."""
        return 1

    @property
    def software(self) -> str:
        """ONNX Runtime and its version."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}, in this process"

    def close(self) -> None:
        """Nothing is held: sessions end with their models."""
