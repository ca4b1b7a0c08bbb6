"""The application: which request is answered by whom."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from cocon.client.web.access import Access, Guard
from cocon.client.web.answers.aligned import Aligning
from cocon.client.web.answers.labelling import Labelling
from cocon.client.web.answers.listing import Listing
from cocon.client.web.answers.mapping import MapAnswers
from cocon.client.web.answers.media import MediaAnswers
from cocon.client.web.answers.page_files import PAGE_ROUTES
from cocon.client.web.answers.receiving import Receiving
from cocon.client.web.answers.searching import Searching
from cocon.client.web.problems import HANDLERS
from cocon.client.web.services import WebServices

__all__ = ["web_app"]

_ANSWERS = (Listing, Searching, Receiving, MediaAnswers, Aligning, Labelling, MapAnswers)


def web_app(services: WebServices, access: Access, *, on_ready: Callable[[], None]) -> Guard:
    """The application of ASGI.

    Args:
        services: That it answers with.
        access: Who may ask.
        on_ready: Called when it is about to answer.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        services.warm_up()
        on_ready()
        yield

    answers = tuple(kind(services) for kind in _ANSWERS)
    routes = [route for each in answers for route in each.routes]
    app = Starlette(routes=[*routes, *PAGE_ROUTES], exception_handlers=HANDLERS, lifespan=lifespan)
    return Guard(app, access)  # outside of all, as it also marks the answers to what nobody expected
