"""The videos of a run: a folder with its manifest, or a standard dataset with its official split files."""

from cocon.training.input_sections import DataSection
from cocon.video.folder import DatasetFolder

__all__ = ["open_dataset"]


def open_dataset(data: DataSection) -> DatasetFolder:
    """The dataset that a configuration names.

    Raises:
        UsageError: the folder or its split files are not there, or wrong.
    """
    return DatasetFolder.open(data.folder)
