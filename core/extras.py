"""Which extra brings a library that somebody may find missing."""

__all__ = ["extra_of"]

_EXTRAS = {
    "faiss": "client",
    "fsspec": "remote",
    "grpc": "client",
    "jinja2": "client",
    "lightning_fabric": "training",
    "matplotlib": "training",
    "mediapipe": "people",
    "milvus_lite": "milvus",
    "onnx": "training",
    "onnxscript": "training",
    "openTSNE": "web",
    "pyarrow": "client",
    "pydantic": "training",
    "pymilvus": "milvus",
    "ray": "ray",
    "safetensors": "training",
    "sklearn": "training",
    "starlette": "web",
    "tensorboard": "training",
    "tomlkit": "training",
    "torch": "training",
    "tritonclient": "client",
    "uvicorn": "web",
}


def extra_of(module: str) -> str | None:
    """The extra that brings a module, by its full name; None if every install has it, or none."""
    return _EXTRAS.get(module.partition(".")[0])
