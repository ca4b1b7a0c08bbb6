"""What is wrong with a model repository: a line each, and whether trust in its maker settles it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from cocon.core.printable import printable

__all__ = ["Fault", "Faults", "Matter", "idle", "in_model"]


class Matter(Enum):
    """What a fault is a matter of, and what helps."""

    TRUST = "serve it with --trust-repository if you trust whoever made it"
    """It may run code: those who trust its maker may serve it."""
    FORM = "mend it, or export the model again"
    """The server would read it as something else, hang or end."""
    IDENTITY = "export the model again"
    """It is not the model that it says it is."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        where: model or folder, as it is printed.
        what: name, value and rule.
        matter: of what.
        remedy: another than that of the matter.
        is_idle: whether it is of a version that is not served: no reason to refuse, until that is promoted.
    """

    where: str
    what: str
    matter: Matter
    remedy: str = ""
    is_idle: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.remedy or self.matter.value}"


Faults = Iterator[Fault]
"""What a rule finds, one by one."""


def idle(faults: Iterable[Fault]) -> Faults:
    """The same, as those of a version that is not served."""
    return (replace(fault, is_idle=True) for fault in faults)


def in_model(name: object, what: str, matter: Matter, remedy: str = "") -> Fault:
    """A fault of the model of this name."""
    return Fault(f"model '{printable(name)}'", what, matter, remedy)
