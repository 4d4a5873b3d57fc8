"""How uvicorn runs the door: no access log of its own (it would write queries), no banner, quick to stop."""

from __future__ import annotations

import uvicorn
from starlette.types import ASGIApp

from gateway.api.prompt import PromptProtocol

CONNECTIONS = 2000  # at one time; more are answered 503 by uvicorn
STOP_SECONDS = 2  # a request under way may take to end when we stop


def configuration(app: ASGIApp, *, host: str, port: int) -> uvicorn.Config:
    """For `uvicorn.Server(...).serve()`; port 0 takes a free one. Addresses in Forwarded headers are not believed."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        http=PromptProtocol,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=64 * 1024,
    )
