"""Who may ask: the person who started the server, by its own page alone.

Whoever has the token gets a cookie, and everything else takes the cookie. That keeps out other people of the machine;
other pages in the same browser are kept out by what browsers say of a request (`Host`, `Origin`, `Sec-Fetch-Site`) and
by a header that no form can set. A name that somebody lets point at this machine (DNS rebinding) is no `Host` of ours.
"""

import secrets
from html import escape
from threading import Lock
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cocon.client.web.problems import problem

__all__ = ["Access", "Guard"]

_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_NO_STORE = "no-store"
_USUAL_PORT = 80
_SAFE_METHODS = ("GET", "HEAD")
# What browsers call a request that a page of ours, or the person, has made.
_OWN_SITES = (None, "same-origin", "none")

_OPENING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>CoCon</title><link rel="icon" href="/icons.svg">
<meta http-equiv="refresh" content="0;url=/"></head>
<body><p><a href="/">Open the page</a></p></body></html>
"""
_CLOSED = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>CoCon: not open</title></head>
<body><h1>This page is not open to you</h1><p>{}</p>
<p>Open the address that <code>client web</code> has printed, with its <code>?token=</code>.</p></body></html>
"""


class Access:
    """The secrets of one server.

    Args:
        port: That it listens on.

    Attributes:
        token: Opens the page as long as the server runs.
    """

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self._tickets: set[str] = set()
        self._lock = Lock()
        self._cookie = f"cocon_{port}"  # cookies do not tell ports apart
        suffix = "" if port == _USUAL_PORT else f":{port}"  # which browsers leave out
        self.hosts = (f"127.0.0.1{suffix}", f"localhost{suffix}")
        self.origins = tuple(f"http://{host}" for host in self.hosts)

    @property
    def url(self) -> str:
        """What opens the page."""
        return f"{self.origins[0]}/?token={self.token}"

    def ticket_url(self) -> str:
        """What opens the page once: other people of the machine see the arguments of a browser that is started."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._tickets.add(ticket)
        return f"{self.origins[0]}/?token={ticket}"

    def takes(self, token: str) -> bool:
        """Whether it opens the page now."""
        with self._lock:
            spent = {ticket for ticket in self._tickets if _is_same(ticket, token)}
            self._tickets -= spent
        return bool(spent) or _is_same(token, self.token)

    def knows(self, request: Request) -> bool:
        """Whether a request has the cookie."""
        return _is_same(request.cookies.get(self._cookie, ""), self._session)

    def opening(self) -> Response:
        """The answer that gives the cookie.

        A page that goes on to the next, and no redirection: browsers would not send the cookie along one that begins in
        a page of somebody else, as where a notebook's terminal shows the address.
        """
        response = HTMLResponse(_OPENING)
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
        return response


class Guard:
    """Lets through what may be answered, and says to browsers how to treat the answers. Middleware of ASGI.

    Args:
        app: That answers.
        access: Who may ask.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            request = Request(scope, receive)
            await (self._refusal(request) or self._app)(scope, receive, _guarded(send))

    def _refusal(self, request: Request) -> Response | None:
        headers = request.headers
        if headers.getlist("host") not in [[host] for host in self._access.hosts]:
            return _closed(request, f"It answers at http://{self._access.hosts[0]} alone.")
        if (token := _token(request)) is not None:
            return self._access.opening() if self._access.takes(token) else _closed(request, "The token is another.")
        if not self._access.knows(request):
            return _closed(request, "The cookie of this server is missing.")
        if headers.get("sec-fetch-site") not in _OWN_SITES and not _is_opened(request):
            return _closed(request, "Another page has asked.")
        if request.method not in _SAFE_METHODS and not self._is_of_our_page(headers):
            return _closed(request, "What changes something needs the header X-CoCon: 1 and the page's own Origin.")
        return None

    def _is_of_our_page(self, headers: Headers) -> bool:
        return headers.get("x-cocon") == "1" and headers.get("origin") == f"http://{headers['host']}"


def _is_same(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode(errors="replace"), secret.encode())


def _token(request: Request) -> str | None:
    if request.scope["path"] != "/" or request.method not in _SAFE_METHODS:
        return None
    values = parse_qs(request.scope["query_string"].decode("latin-1"), keep_blank_values=True).get("token")
    return values[0] if values else None


def _is_opened(request: Request) -> bool:
    """Whether a person goes to the page, be it from another one."""
    return request.scope["path"] == "/" and request.headers.get("sec-fetch-mode") == "navigate"


def _closed(request: Request, reason: str) -> Response:
    if request.scope["path"] == "/":
        return HTMLResponse(_CLOSED.format(escape(reason)), 403)
    return problem(403, "Forbidden", f"{reason.removesuffix('.')}; open the address that 'client web' has printed")


def _guarded(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", _NO_STORE)
        await send(message)

    return sent
