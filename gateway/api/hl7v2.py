"""$hl7v2: a resource or Bundle as an HL7 v2 message, and a message as a transaction Bundle; nothing is stored.

The same maps, profiles and code as for deliveries (outbound.py) and `hutong translate`. The parameters:

    receiver   id of the member that it is written for: its version, charset, numbers and codes
    event      which message: `ADT^A08`, `OML^O21`; without it the one that the resources are about
    version    HL7 version in place of the receiver's; charset: likewise
    sender     id of the member whose message it is; without it the one that MSH-4 names
    account    true: besides, an OperationOutcome of what became of every value
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import outbound
from gateway.api import answer
from gateway.api.arriving import Arriving, Waiting
from gateway.api.form import PRESENTATION
from gateway.api.guard import require
from gateway.api.offered import ANY, Offered
from gateway.api.resource import parsed, parts_of, type_of
from gateway.api.services import Services
from gateway.codec import hl7v2, hl7v2_xml
from gateway.codec.charset import codec_of
from gateway.codec.hl7v2_schema import VERSIONS
from gateway.errors import Permanent
from gateway.fhir import json
from gateway.formats import Formats
from gateway.formats.written import NEVER, address_of, timed, writing_of
from gateway.mapping import choice
from gateway.mapping.accounting.account import Account, State, account_of_message
from gateway.mapping.accounting.trial import Trial
from gateway.mapping.accounting.writing import Writing, account_of_resources
from gateway.model import Change, Channel, Entry, Frame, Resource

T = TypeVar("T")

ER7: Final = "x-application/hl7-v2+er7"
OFFERED: Final = (
    Offered("hl7v2", "/OperationDefinition/hl7v2"),
    Offered("hl7v2", "/OperationDefinition/hl7v2", (ANY,)),
)
_TAKEN: Final = (
    ("resource", "Any", "a resource or Bundle that becomes a message; as the body itself or among Parameters"),
    ("receiver", "string", "id of the member that the message is written for"),
    ("event", "string", "which message, such as ADT^A08"),
    ("version", "string", "HL7 version in place of the receiver's"),
    ("charset", "string", "character set in place of the receiver's"),
    ("sender", "string", "id of the member whose message is read"),
    ("account", "boolean", "whether to tell what became of every value"),
)
_DEFINITION: Final[Resource] = {
    "resourceType": "OperationDefinition", "id": "hl7v2", "name": "Hl7v2", "title": "Resources as HL7 v2 and back",
    "status": "active", "kind": "operation", "affectsState": False, "code": "hl7v2", "resource": ["Resource"],
    "system": True, "type": False, "instance": True,
    "description": "A resource or Bundle as an HL7 v2 message; a message as a transaction Bundle. Nothing is stored.",
    "parameter": [
        *({"name": name, "use": "in", "min": 0, "max": "1", "type": kind, "documentation": text}
          for name, kind, text in _TAKEN),
        {"name": "return", "use": "out", "min": 1, "max": "1", "type": "Any",
         "documentation": "the message (a Binary where FHIR is asked for) or the Bundle"},
        {"name": "outcome", "use": "out", "min": 0, "max": "1", "type": "OperationOutcome",
         "documentation": "the account"},
    ],
}  # fmt: skip
_PARAMETERS: Final = frozenset({name for name, _, _ in _TAKEN if name != "resource"} | {"message"})
_FHIR: Final = re.compile(r"application/(fhir\+)?(json|xml)|application/(json|xml)\+fhir|text/(json|xml)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """The parameters of one call."""

    receiver: str = ""
    event: str = ""
    version: str = ""
    charset: str = ""
    sender: str = ""
    account: bool = False


@dataclass(slots=True, eq=False)
class Hl7v2:
    """The handlers; each returns one whole answer."""

    services: Services
    waiting: Waiting

    def routes(self) -> list[Route]:
        """They stand before those with an id in that place."""
        return [
            Route("/fhir/OperationDefinition/hl7v2", self.definition, methods=["GET"]),
            Route("/fhir/$hl7v2", self.convert, methods=["POST"]),
            Route("/fhir/{type}/{id}/$hl7v2", self.stored, methods=["GET"]),
        ]

    async def definition(self, request: Request) -> Response:
        """What it is and takes (R4 operationdefinition.html)."""
        require(request, request.state.grant.allows("OperationDefinition", "r"), "system/OperationDefinition.r")
        return answer.fhir(request, _DEFINITION)

    async def convert(self, request: Request) -> Response:
        """What the body is decides the way: a resource, a Bundle or Parameters with one, or a message."""
        require(request, request.state.grant.allows("Bundle", "r"), "system/Bundle.r")
        arriving = Arriving(self.waiting)
        try:
            body = await arriving.whole(request, self.services.resource_limit)
            given = dict(request.query_params.items())
            if _is_message(body):
                wanted = self._wanted(given)
                return await self._hop(lambda: self._read(request, body, wanted))
            resource = parsed(request, body)
        finally:
            arriving.forget()
        if resource["resourceType"] == "Parameters":
            parts = {str(each.get("name")): each for each in parts_of(resource)}
            given |= {name: _value(each) for name, each in parts.items() if name != "resource"}
            inner = parts.get("resource", {}).get("resource")
            if not isinstance(inner, dict):
                raise answer.Refusal(400, "the Parameters hold no parameter `resource` with a resource")
            resource = inner
        wanted = self._wanted(given)
        return await self._hop(lambda: self._written(request, resource, wanted))

    async def stored(self, request: Request) -> Response:
        """A resource of the record with what belongs to its message."""
        type_name, key = type_of(request), request.path_params["id"]
        require(request, request.state.grant.allows("*", "r"), "system/*.r")
        wanted = self._wanted(dict(request.query_params.items()))
        return await self._hop(lambda: self._of_record(request, type_name, key, wanted))

    def _wanted(self, given: Mapping[str, str]) -> _Wanted:
        if unknown := given.keys() - _PARAMETERS - PRESENTATION:
            known = ", ".join(sorted(_PARAMETERS))
            raise answer.Refusal(400, f"$hl7v2 takes {known}; not {sorted(unknown)[0][:40]!r}")
        if (version := given.get("version", "")) and version not in VERSIONS:
            raise answer.Refusal(400, f"version is one of {', '.join(VERSIONS)}")
        if (charset := given.get("charset", "")) and not codec_of(charset):
            raise answer.Refusal(400, "charset is a name of HL7 table 0211, such as UNICODE UTF-8 or GB 18030-2000")
        community = self.services.formats().community
        for name in ("receiver", "sender"):
            if (member := given.get(name, "")) and member not in community.members and not community.open:
                raise answer.Refusal(400, f"{name} is the id of a member: {', '.join(community.members)}")
        return _Wanted(
            receiver=given.get("receiver", ""), event=given.get("event") or given.get("message", ""), version=version,
            charset=charset, sender=given.get("sender", ""), account=given.get("account", "").lower() in ("true", "1"),
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------ FHIR → v2

    def _written(self, request: Request, resource: Resource, wanted: _Wanted) -> Response:
        if resource.get("resourceType") != "Bundle":
            resource = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]}
        writing = writing_of(
            json.dumps(resource), self.services.formats(), wanted.receiver or None, message=wanted.event
        )
        return _message(request, _for(writing, self.services.formats(), wanted), account=wanted.account)

    def _of_record(self, request: Request, type_name: str, key: str, wanted: _Wanted) -> Response:
        formats, record = self.services.formats(), self.services.record
        with record.reading() as reader:
            stored = record.read(type_name, key, reader=reader)
            if stored is None:
                raise answer.Refusal(404, f"there is no {type_name} with this id")
            if stored.deleted:
                raise answer.Refusal(410, f"this {type_name} was deleted")
            change = Change(
                type=type_name, id=key, version=stored.version, transaction=stored.transaction, interaction="update"
            )
            resources = outbound.gathered(record, reader, change)
        lead = {stored.reference: resources[stored.reference]}
        chosen = choice.asked(wanted.event, lead, formats.maps.library) if wanted.event else choice.fitting(lead)
        to = address_of(formats, wanted.receiver or None, {}, stored.body, chosen.event)
        writing = Writing(
            maps=formats.maps.of(to.profile), resources=resources, leads=[stored.reference],
            structure=chosen.structure, to=replace(to, when=stored.updated),
        )  # fmt: skip
        return _message(request, _for(writing, formats, wanted), account=wanted.account)

    # ------------------------------------------------------------------------------------------ v2 → FHIR

    def _read(self, request: Request, body: bytes, wanted: _Wanted) -> Response:
        formats = self.services.formats()
        owner = formats.member(wanted.sender) if wanted.sender else None
        channel = Channel(id="hl7v2", transport="http", format="hl7v2")
        frame = Frame(channel=channel.id, body=body, peer="", received_at=NEVER)
        look = formats.look(frame, channel, owner)
        if look.error:
            raise look.error
        entry = Entry(
            id=0, frame=frame, member=look.member.id, format="hl7v2", charset=look.charset, control_id=look.control_id
        )
        made = formats.translate(entry, channel)
        bundle = timed(made.bundle)
        if not wanted.account:
            return answer.fhir(request, bundle)
        message = hl7v2.decode(body, look.member.profile.charset)
        trial = Trial(
            maps=formats.maps, message=message, profile=look.member.profile, member=look.member.id, when=NEVER
        )
        outcome = _told(account_of_message(trial), (*made.notes, *_unknown(made.unknown)))
        return answer.fhir(request, _parameters(("return", bundle), ("outcome", outcome)))

    async def _hop(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.services.readers)


def _for(writing: Writing, formats: Formats, wanted: _Wanted) -> Writing:
    """In another version or charset than the receiver's settings say."""
    profile = writing.to.profile
    if wanted.version:
        profile = msgspec.structs.replace(profile, version=wanted.version)
    if wanted.charset:
        profile = msgspec.structs.replace(profile, charset=wanted.charset)
    return replace(writing, to=replace(writing.to, profile=profile), maps=formats.maps.of(profile))


def _message(request: Request, writing: Writing, *, account: bool) -> Response:
    """The message as what it is, or in a Binary for whoever wants FHIR."""
    body = writing.message()
    charset = hl7v2.decode(body, writing.to.profile.charset).charset
    kind = f"{ER7}; charset={charset}"
    if not account and not _wants_fhir(request):
        plain = "text/plain" in request.headers.get("accept", "")
        return Response(body, media_type=f"text/plain; charset={charset}" if plain else kind)
    binary = {"resourceType": "Binary", "contentType": kind, "data": base64.b64encode(body).decode()}
    parts: list[tuple[str, Resource]] = [("return", binary)]
    if account:
        parts.append(("outcome", _told(account_of_resources(writing), ())))
    return answer.fhir(request, _parameters(*parts))


def _wants_fhir(request: Request) -> bool:
    asked = request.query_params.get("_format", "") or request.headers.get("accept", "")
    names = [part.partition(";")[0].strip().lower().replace(" ", "+") for part in asked.split(",")]
    return any(_FHIR.fullmatch(name) or name in ("json", "xml") for name in names)


def _parameters(*parts: tuple[str, Resource]) -> Resource:
    parameter = [{"name": name, "resource": resource} for name, resource in parts]
    return {"resourceType": "Parameters", "parameter": parameter}


_SEVERITIES: Final = {State.KEPT: "information", State.DROPPED: "warning"}


def _told(account: Account | None, notes: tuple[str, ...]) -> Resource:
    """What was lost and why, by place; never a value."""
    if account is None:
        raise Permanent("no account can be given of this message", place="MSH")
    lost = [row for row in account.rows if row.state is not State.CARRIED]
    issues: list[dict[str, Any]] = [
        {"severity": _SEVERITIES[row.state], "code": "informational", "diagnostics": f"{row.place}: {row.reason}"}
        for row in lost
    ]
    issues += [{"severity": "warning", "code": "incomplete", "diagnostics": note} for note in notes]
    count = len(account.rows)
    said = f"{count - len(lost)} of {count} values are carried"
    head = {"severity": "information", "code": "informational", "diagnostics": said}
    return {"resourceType": "OperationOutcome", "issue": [head, *issues]}


def _unknown(codes: Any) -> list[str]:
    return [f"code table {table} does not know {code}" for table, code in dict.fromkeys(codes)]


def _is_message(body: bytes) -> bool:
    start = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n\x0b")
    return start.startswith((b"MSH", b"msh", b"FHS", b"BHS")) or hl7v2_xml.is_xml(body)


def _value(parameter: Mapping[str, Any]) -> str:
    found = next((value for name, value in parameter.items() if name.startswith("value")), "")
    return str(found).lower() if isinstance(found, bool) else str(found)
