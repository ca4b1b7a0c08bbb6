"""What all answers have in common: they are of one subject, and have what the server answers with."""

from abc import ABC, abstractmethod

from starlette.routing import Route

from cocon.client.web.services import WebServices

__all__ = ["Subject"]


class Subject(ABC):
    """Answers of one subject.

    Args:
        services: Of the server.
    """

    def __init__(self, services: WebServices) -> None:
        self._services = services

    @property
    @abstractmethod
    def routes(self) -> list[Route]:
        """Which requests they are to."""
