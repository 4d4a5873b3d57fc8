"""The search parameters of a request: of its address, and of a form behind them (R4 search.html, http.html#search)."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from gateway.api import answer
from gateway.api.arriving import declared

FORM_LIMIT = 64 * 1024  # bytes of a POST _search
PRESENTATION = frozenset({"_format", "_pretty"})  # about the answer, not the search

FORM = "application/x-www-form-urlencoded"

Pairs = list[tuple[str, str]]


def media_type(request: Request) -> str:
    """Of the body, without its parameters, in small letters; "" where none is told."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def asked_of(request: Request) -> Pairs:
    """The search parameters of the address, and of a POST's form behind them, in their order. What the form says of the
    answer is kept in the request's state."""
    pairs = list(request.query_params.multi_items())
    if request.method != "POST":
        return pairs
    kind = media_type(request)
    if kind != FORM and (kind or request.headers.get("content-length", "0") != "0"):
        raise answer.Refusal(415, "a search by POST is application/x-www-form-urlencoded")
    declared(request, FORM_LIMIT)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > FORM_LIMIT:
            raise answer.Refusal(413, f"the search is larger than {FORM_LIMIT // 1024} KiB")
    try:
        form = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=500)
    except ValueError as error:
        raise answer.Refusal(400, "the search form cannot be read; send UTF-8, at most 500 fields") from error
    request.state.presentation = {name: value for name, value in form if name in PRESENTATION}
    return pairs + form
