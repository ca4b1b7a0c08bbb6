"""The file of a model, as the stand-in backends load it: the one that its configuration records, or none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cocon.embedding.repository import SHA256_KEY, ModelFormat, sound_content, version_key

__all__ = ["model_content"]


def model_content(args: Mapping[str, str], config: Mapping[str, Any], model_format: ModelFormat) -> bytes:
    """Read the file of the version that an instance is of.

    Args:
        args: what Triton gives to `initialize`.
        config: the model's configuration in Triton's JSON form.
        model_format: says the file's name, where the configuration does not.

    Raises:
        MismatchError: it is another file than the configuration records for this version, or cannot be read.
    """
    version = args["model_version"]
    path = Path(args["model_repository"], version, config["default_model_filename"] or model_format.file_name)
    recorded = config.get("parameters", {}).get(version_key(SHA256_KEY, version), {}).get("string_value")
    return sound_content(path, recorded)
