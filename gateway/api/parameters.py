"""What an operation is given (R4 operations.html#request): in the address, in a form, in Parameters, or nothing."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from gateway.api.arriving import Arriving, Waiting
from gateway.api.form import FORM, PRESENTATION, Pairs, asked_of, media_type
from gateway.api.resource import parsed, parts_of
from gateway.model import Resource


async def body_of(request: Request, waiting: Waiting, limit: int) -> Resource:
    """The resource that the body is, not checked yet; an empty body is Parameters without any. `limit`: bytes. Refusals
    as of `Arriving.whole` and `parsed`."""
    arriving = Arriving(waiting)
    try:
        body = await arriving.whole(request, limit, may_be_empty=True)
        return parsed(request, body) if body else {"resourceType": "Parameters"}
    finally:
        arriving.forget()


async def pairs_of(request: Request, waiting: Waiting, limit: int) -> Pairs:
    """Names and texts of the parameters, those of the address first; without those about the answer. A Reference is
    told by what it refers to."""
    if request.method == "POST" and media_type(request) != FORM:
        pairs = list(request.query_params.multi_items())
        pairs += [(str(each.get("name", "")), _text(each)) for each in parts_of(await body_of(request, waiting, limit))]
    else:
        pairs = await asked_of(request)
    return [pair for pair in pairs if pair[0] not in PRESENTATION]


def _text(parameter: dict[str, Any]) -> str:
    value = next((value for name, value in parameter.items() if name.startswith("value")), "")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value.get("reference", "") if isinstance(value, dict) else value)
