"""How closely a server is watched."""

from dataclasses import dataclass

__all__ = ["QUESTION_ID", "WatchSettings"]

QUESTION_ID = "cocon-supervisor"
"""The request id of a supervisor's question, by which a model knows it from those of clients."""


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How closely a server is watched.

    Attributes:
        interval_s: How often a model is asked that has not answered others meanwhile, in seconds.
        timeout_s: How long a model may take for an answer while it finishes nothing else, in seconds.
        loading_timeout_s: How long a model, or all of them, may take to load when they are restarted, in seconds.
    """

    interval_s: float = 30.0
    timeout_s: float = 30.0
    loading_timeout_s: float = 120.0
