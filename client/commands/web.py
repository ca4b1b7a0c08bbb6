"""The command `client web`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.client.commands import options
from cocon.client.models.defaults import DEFAULT_INDEX

if TYPE_CHECKING:
    from cocon.client.web.access import Access

__all__ = ["web"]


@options.takes_embedder_options
def web(
    index: options.IndexName = DEFAULT_INDEX,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Of 127.0.0.1; 0: any that is free.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, and open nothing.")] = False,
    embedder_options: options.EmbedderOptions = options.EmbedderOptions(),
) -> None:
    """Show an index in the browser: search by a video that you drop, see the moments play, label them.

    It answers on this machine alone, to whoever has the address that it prints, until Ctrl-C.

    Example: client web --index index --url local:model_repository
    """
    import signal
    import webbrowser
    from dataclasses import replace
    from threading import Thread

    from cocon.client.engines import open_index
    from cocon.client.web.serving import serve_index
    from cocon.client.web.uploads import UPLOAD_LIMITS
    from cocon.video.decoding.limits import MediaLimits

    def tell(access: "Access") -> None:
        print(access.url, flush=True)
        if not no_browser:  # some do not return before they are closed
            Thread(target=webbrowser.open, args=(access.ticket_url(),), daemon=True).start()

    opened = open_index(index)
    settings = embedder_options.settings(opened.facts.views, has_probabilities=True)
    uploads = MediaLimits.parse([*UPLOAD_LIMITS, *(embedder_options.limit or ())])
    # The default actions would skip every clean-up; SystemExit does not. The server takes SIGTERM while it runs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    serve_index(opened, index, replace(settings, limits=uploads), embedder_options.limits, port=port, on_ready=tell)
