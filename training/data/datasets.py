"""The videos of a run: a folder with its manifest, or a standard dataset with its official split files."""

import logging

from cocon.training.config.input_sections import DataSection
from cocon.training.data.hmdb51 import list_hmdb51
from cocon.training.data.kinetics import list_kinetics
from cocon.training.data.split_files import match_videos
from cocon.training.data.ucf101 import list_ucf101
from cocon.video.store.dataset import DatasetFolder
from cocon.video.store.found_videos import warn_of_left_out

__all__ = ["open_dataset"]

_logger = logging.getLogger(__name__)

_LISTS = {"ucf101": list_ucf101, "hmdb51": list_hmdb51, "kinetics": list_kinetics}


def open_dataset(data: DataSection) -> DatasetFolder:
    """The dataset that a configuration names.

    Videos of a standard dataset keep the ids that `DatasetFolder.open` gives them, and with these their stored views;
    label, group and split are those of the official lists.

    Raises:
        UsageError: the folder or its split files are not there, or wrong.
    """
    folder = DatasetFolder.open(data.folder)
    if data.dataset == "folder":
        warn_of_left_out(folder.root, folder.left_out)
        if folder.layout.splits:
            _logger.warning("%s", folder.layout.splits)
        if num_unused := sum(not video.split for video in folder.videos) % len(folder.videos):
            _logger.warning("%d of %d videos have no split and are not used", num_unused, len(folder.videos))
        return folder
    return match_videos(folder, _LISTS[data.dataset](data), data.dataset)
