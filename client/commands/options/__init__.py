"""Options that several commands share.

`shared` ones are of all kinds of commands, those of a `server` of all that ask models, those of an `embedder` of all
that embed videos; `runs` go over the files that somebody names.
"""

from cocon.client.commands.options.embedder import (
    DeadlineS,
    EmbedderOptions,
    ModelFormatOption,
    Overlap,
    Profiled,
    ProfileOutput,
    SharedMemory,
    Strict,
    Views,
    takes_embedder_options,
)
from cocon.client.commands.options.server import ServerOptions, TimeoutS, Urls, takes_server_options
from cocon.client.commands.options.shared import (
    AsJson,
    Failures,
    IndexName,
    Limits,
    Output,
    RowFormat,
    TextFormat,
    Videos,
    VotingIndex,
    WaitS,
    named_index,
)
from cocon.core.options import Quiet

__all__ = [
    "AsJson",
    "DeadlineS",
    "EmbedderOptions",
    "Failures",
    "IndexName",
    "Limits",
    "ModelFormatOption",
    "Output",
    "Overlap",
    "ProfileOutput",
    "Profiled",
    "Quiet",
    "RowFormat",
    "ServerOptions",
    "SharedMemory",
    "Strict",
    "TextFormat",
    "TimeoutS",
    "Urls",
    "Videos",
    "Views",
    "VotingIndex",
    "WaitS",
    "named_index",
    "takes_embedder_options",
    "takes_server_options",
]
