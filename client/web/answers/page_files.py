"""The page itself: the files beside `client/web/page/__init__.py`, by name and kind."""

from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["PAGE_ROUTES"]

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def _page(request: Request) -> Response:
    name = request.path_params.get("name", "index.html")
    for file in files("cocon.client.web.page").iterdir():  # only what is there: a name cannot lead elsewhere
        if file.name == name and (kind := _TYPES.get(name.rpartition(".")[2])):
            return Response(file.read_bytes(), media_type=kind, headers={"cache-control": "no-cache"})
    raise HTTPException(404, f"there is nothing called '{name[:80]}'; go to '/'")


PAGE_ROUTES = [Route("/", _page), Route("/{name}", _page)]
"""The last ones of an application."""
