"""Whether a model still is the one that was described: its name and number may be of another since a restart."""

import math
import time
from dataclasses import replace

from cocon.client.models.versions.described import ServedVersions
from cocon.client.models.versions.offered import ONE_MODEL, DescribedVersion, VersionGoneError
from cocon.core.errors import MismatchError

__all__ = ["UnchangedModels"]

# How long a model that was seen to be the one described is believed to be it. To ask costs a server half as much as the
# rest of a small request; one that is started anew takes longer, and its clients are told by the interruption.
_BELIEVED_S = 1.0


class UnchangedModels:
    """Remembers when models were last seen to be the ones described. Not safe for several threads."""

    def __init__(self) -> None:
        self._seen_at: dict[tuple[str, ...], float] = {}
        self._unseen: dict[tuple[str, ...], DescribedVersion] = {}

    def forget(self) -> None:
        """Believe of none that it is the same: a server may be another by now."""
        self._seen_at.clear()

    def answered(self, model: DescribedVersion, versions: ServedVersions) -> None:
        """A model has answered; look whether it is the same unless that was seen a moment ago.

        Raises:
            MismatchError: It has changed.
            ServerError: The server does not answer in time.
        """
        self._unseen[model.identity] = model
        if time.monotonic() - self._seen_at.get(model.identity, -math.inf) > _BELIEVED_S:
            self._check(model, versions)

    def confirm(self, versions: ServedVersions) -> None:
        """Look at all that have answered since they were seen; raises as `answered`."""
        for model in tuple(self._unseen.values()):
            self._check(model, versions)

    def _check(self, model: DescribedVersion, versions: ServedVersions) -> None:
        asked_at = time.monotonic()
        try:
            now = versions.config_now(model)
        except VersionGoneError:
            if not model.parts or -1 in model.calls.values():
                raise
            # No number is used twice, so what it said was its own if those are unchanged that it called.
        else:
            if replace(model, config=now).contract != model.contract:
                raise MismatchError(f"{model.source} has changed meanwhile; {ONE_MODEL}")
        for part in model.parts:
            self._check_part(model, part, versions)
        self._seen_at[model.identity] = asked_at
        self._unseen.pop(model.identity, None)

    def _check_part(self, model: DescribedVersion, part: DescribedVersion, versions: ServedVersions) -> None:
        """What an ensemble calls must be what was described."""
        if model.calls.get(part.name) == int(part.version):
            self._check(part, versions)
        elif versions.described(part.name, part.contract_kind).identity != part.identity:
            raise MismatchError(f"{part.source} has changed meanwhile; {ONE_MODEL}")
