"""Which extra brings a library that somebody may find missing."""

__all__ = ["extra_of"]

_EXTRAS = {
    "faiss": "client",
    "grpc": "client",
    "jinja2": "training",
    "lightning_fabric": "training",
    "matplotlib": "training",
    "mediapipe": "people",
    "onnx": "training",
    "onnxscript": "training",
    "pyarrow": "client",
    "pydantic": "training",
    "safetensors": "training",
    "sklearn": "training",
    "tensorboard": "training",
    "tomlkit": "training",
    "torch": "training",
    "tritonclient": "client",
}


def extra_of(module: str) -> str | None:
    """The extra that brings a module, by its full name; None if every install has it, or none."""
    return _EXTRAS.get(module.partition(".")[0])
