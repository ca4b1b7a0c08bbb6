"""The application: which request is answered by whom."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware

from cocon.client.web.access import Access, Guard
from cocon.client.web.listing import Listing
from cocon.client.web.media_answers import MediaAnswers
from cocon.client.web.page_files import PAGE_ROUTES
from cocon.client.web.problems import HANDLERS
from cocon.client.web.searching import Searching
from cocon.client.web.services import WebServices

__all__ = ["web_app"]


def web_app(services: WebServices, access: Access, *, on_ready: Callable[[], None]) -> Starlette:
    """The application of ASGI.

    Args:
        services: That it answers with.
        access: Who may ask.
        on_ready: Called when it is about to answer.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        services.embedder.start()
        on_ready()
        yield

    answers = (Listing(services), Searching(services), MediaAnswers(services))
    routes = [route for each in answers for route in each.routes]
    guard = Middleware(Guard, access=access)
    return Starlette(routes=[*routes, *PAGE_ROUTES], middleware=[guard], exception_handlers=HANDLERS, lifespan=lifespan)
