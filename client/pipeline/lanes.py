"""The connections that work side by side, with the same models on each, and the versions that they follow."""

import logging
import time
from collections.abc import Callable, Sequence

from cocon.client.models.connect import ModelHost
from cocon.client.models.served_work import ServedWork
from cocon.core.errors import MismatchError, ServerError
from cocon.embedding.videos.fused_model import FusedModel

__all__ = ["Lanes"]

_logger = logging.getLogger(__name__)

# How often it is asked which version is current, and how often where that changes while models are opened.
_LOOK_S, _MOST_LOOKS = 1.0, 5


class Lanes:
    """The same models on every connection. Not safe for several threads.

    Args:
        hosts: The connections, at least one; not closed here.
        opened: Opens the models of one.
        follows_versions: Whether other versions are to be asked once an operator has promoted them.

    Raises:
        ServerError: A server does not answer, or its models changed while they were looked up.
        MismatchError: Servers have not the same models.
        UsageError: One has none of those asked for.
    """

    def __init__(
        self, hosts: Sequence[ModelHost], opened: Callable[[ModelHost], FusedModel], *, follows_versions: bool
    ) -> None:
        self._hosts, self._open = hosts, opened
        self.models = _opened_at_rest(hosts, opened)
        _check_alike(hosts, self.models)
        self._follows_versions, self._looked_at = follows_versions, time.monotonic()
        self._is_behind = False

    @property
    def first(self) -> FusedModel:
        """The encoders of the first, asked as one; those of the others are alike."""
        return self.models[0]

    @property
    def unused_views(self) -> list[str]:
        """Views whose encoder is ready on the first by now, and is not asked; raises `ServerError`, `MismatchError`."""
        return [view for view in self._hosts[0].ready_views if view not in self.first.models]

    def have_moved(self) -> bool:
        """Whether other versions are to be followed; that is asked once a second."""
        if not self._follows_versions or time.monotonic() < self._looked_at + _LOOK_S:
            return False
        self._looked_at = time.monotonic()
        return self._hosts[0].look_again() or self._is_behind

    def follow(self) -> None:
        """Open the versions that are current now, once all servers have them.

        Raises:
            MismatchError: Videos that are decoded already do not suit them.
            ServerError: A server does not answer.
        """
        before = self.first
        for host in self._hosts[1:]:
            host.look_again()
        models = _opened_at_rest(self._hosts, self._open)
        self._is_behind = len({_told(model) for model in models}) > 1  # promoted on one server after the other
        if self._is_behind or _told(models[0]) == _told(before):
            return
        self.models = models
        if _takes(self.first) != _takes(before):
            raise MismatchError(
                f"version {self.first.version} of {self.first.name} takes other clips than version {before.version}, "
                "or gives other vectors; run the command again"
            )
        _logger.warning(
            "%s version %s follows version %s from the next video on", before.name, self.first.version, before.version
        )

    def confirm(self) -> None:
        """See that all answers so far are of the models that were opened; raises as `ModelHost.confirm`."""
        for host in self._hosts:
            host.confirm()

    def served(self) -> list[ServedWork]:
        """What servers have done for the models so far."""
        hosts = {host.url: host for host in self._hosts}.values()
        found = [host.statistics(each.name, each.version) for host in hosts for each in self.first.models.values()]
        return [work for work in found if work is not None]


def _takes(model: FusedModel) -> tuple[object, ...]:
    """What a video is decoded for, and how long its vectors are."""
    return model.clip, model.requests, model.shares_blocks, model.embedding_dim, model.block_dim


def _told(model: FusedModel) -> tuple[object, ...]:
    """What connections must have in common."""
    return model.version, model.fingerprint, model.labels


def _opened_at_rest(hosts: Sequence[ModelHost], opened: Callable[[ModelHost], FusedModel]) -> list[FusedModel]:
    """Open them; while an operator changes versions, again until those of each server are the same."""
    for _ in range(_MOST_LOOKS):
        models = [opened(host) for host in hosts]
        seen = {(host.url, model.version) for host, model in zip(hosts, models, strict=True)}
        if len(seen) == len({host.url for host in hosts}):
            break
        for host in hosts:
            host.look_again()
    return models


def _check_alike(hosts: Sequence[ModelHost], models: Sequence[FusedModel]) -> None:
    """Refuse servers that have not the same models, and one whose models changed while they were looked up."""
    first = models[0]
    for host, model in zip(hosts, models, strict=True):
        if _told(model) == _told(first):
            continue
        if host.url == hosts[0].url:
            raise ServerError(f"the models on {host.url} changed while they were looked up; try again")
        raise MismatchError(
            f"{hosts[0].url} has {first.name} version {first.version} of fingerprint {first.fingerprint[:12]}, and "
            f"{host.url} has version {model.version} of {model.fingerprint[:12]}; name servers of the same models"
        )
