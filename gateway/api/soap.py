"""Messages by SOAP: `POST /soap/{channel}` for any http channel, described at `GET /soap/{channel}?wsdl`.

The string of the call is written down as a message of the channel, as if it had been posted to /intake/{channel}, and
the string of the answer says what became of it:

| the message | the answer |
|---|---|
| HL7 v2 text | its acknowledgement, HL7 v2 text: AA, AE, AR |
| JSON | {"ResultCode": "0", "ResultContent": "…"}: 0 taken, 1 refused |
| XML and all else | <Response><ResultCode>0</ResultCode><ResultContent>…</ResultContent></Response> |

Whoever calls shows a token: `Authorization: Bearer …`, as the password of Basic, or as the plain-text password of a
WS-Security UsernameToken (then the envelope must be small: it is read before it is known whose it is). What is not
taken as a call is answered with a Fault in Chinese and English.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.api import answer
from gateway.api.arriving import Arriving, peer
from gateway.api.guard import known
from gateway.api.intake import Intake
from gateway.api.security import Grant
from gateway.codec import charset, soap
from gateway.errors import HutongError, Transient
from gateway.fhir import json

LIMIT = 64 * 2**20  # bytes of an envelope
UNKNOWN_LIMIT = 4 * 2**20  # bytes of an envelope that holds its token itself
INLINE = 64 * 1024  # bytes up to which an envelope is read on the event loop
PATH = "/soap/"
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9._-]+)", re.IGNORECASE)
_WORDS = {  # HTTP status → the refusal in Chinese
    401: "需要有效令牌：Authorization: Bearer，或 WS-Security 明文口令",
    403: "该令牌无权使用此通道",
    404: "没有此名称的 http 通道",
    408: "报文传输中断或过慢，请重发",
    413: "报文过大",
    415: "不支持压缩报文",
    429: "令牌错误次数过多，请一分钟后再试",
    503: "暂时无法接收，请稍后重发",
}


@dataclass(frozen=True, slots=True, eq=False)
class Soap:
    """The handlers of /soap/{channel}."""

    intake: Intake

    async def describe(self, request: Request) -> Response:
        """The WSDL, the same for every name: it tells nobody which channels there are, and needs no token."""
        if not any(name.lower() == "wsdl" for name in request.query_params):
            raise answer.Refusal(405, "post an envelope here; its description is at ?wsdl")
        address = str(request.url.replace(query=None, fragment=None))
        return Response(soap.wsdl(address), media_type="text/xml; charset=utf-8")

    async def post(self, request: Request) -> Response:
        """One call."""
        body = b""
        arriving = Arriving(self.intake.waiting)
        try:
            grant = known(self.intake.services, request) if "authorization" in request.headers else None
            limit = min(LIMIT if grant else UNKNOWN_LIMIT, self.intake.services.intake_limit)
            body = await arriving.whole(request, limit)
            return await self._called(request, body, grant)
        except soap.Fault as error:
            return _refused(body, error, error.words, kind=error.kind, status=400)
        except answer.Refusal as refusal:
            words = _WORDS.get(refusal.status_code, "请求被拒绝")
            said = HutongError(refusal.detail, place="HTTP")
            return _refused(body, said, words, status=refusal.status_code, headers=dict(refusal.headers or {}))
        except Transient as error:
            headers = {"retry-after": str(answer.RETRY_SECONDS)}
            return _refused(body, error, _WORDS[503], kind="Receiver", status=503, headers=headers)
        except HutongError as error:
            return _refused(body, error, "消息无法接收", kind="Receiver", status=500)
        finally:
            arriving.forget()

    async def _called(self, request: Request, body: bytes, grant: Grant | None) -> Response:
        declared = _CHARSET.search(request.headers.get("content-type", ""))
        name = declared[1] if declared else ""
        call = await _read(body, name)
        grant = grant or known(self.intake.services, request, token=call.password)
        request.scope["state"]["grant"] = grant
        channel = request.path_params["channel"]
        if not grant.allows_intake(channel):
            raise answer.Refusal(403, f"this token does not allow it; its scope would have to hold intake/{channel}")
        self.intake.check(channel)
        said = await self.intake.receive(channel, _written(call), name=call.action, key="", client=peer(request))
        return Response(soap.answer(call, _said(call.message, said)), media_type=_type(call))


async def _read(body: bytes, charset_name: str) -> soap.Call:
    """A large envelope is read in a thread."""
    if len(body) <= INLINE:
        return soap.read(body, charset_name)
    return await asyncio.to_thread(soap.read, body, charset_name)


def _written(call: soap.Call) -> bytes:
    """The message as bytes. What the envelope said of its charset is over; a mark says what it is now, and goes before
    what the message may still say of itself (MSH-18, encoding="GB2312")."""
    body = call.message.strip("\ufeff \t\r\n\x00").encode("utf-8", "replace")
    return body if body.isascii() or body.startswith((b"{", b"[")) else charset.MARK + body


def _said(message: str, said: bytes) -> str:
    """The string of the answer; see the table above."""
    if said.startswith((b"MSH", b"BHS", b"\x0bMSH")):
        return charset.decode(said, "", _charset_of(said)).text
    issues = json.loads(said).get("issue", ()) if said else ()
    causes = [str(each.get("diagnostics", "")) for each in issues if each.get("severity") in ("error", "fatal")]
    code = "1" if causes else "0"
    text = f"未被接收 / not taken: {'; '.join(causes)}" if causes else "已接收 / received and written down"
    if message.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        return json.dumps({"ResultCode": code, "ResultContent": text}).decode()
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<Response><ResultCode>{code}</ResultCode><ResultContent>{escaped}</ResultContent></Response>"


def _charset_of(acknowledgement: bytes) -> str:
    """MSH-18 of an acknowledgement that we wrote ourselves."""
    fields = re.split(rb"[\r\n]", acknowledgement.lstrip(b"\x0b"), maxsplit=1)[0].split(b"|")
    return fields[17].decode("ascii", "replace") if len(fields) > 17 else ""


def _refused(
    body: bytes,
    error: HutongError,
    words: str,
    *,
    kind: str = "Sender",
    status: int,
    headers: dict[str, str] | None = None,
) -> Response:
    """A Fault: in SOAP 1.1 always 500 (§6.2), except where HTTP itself has something to say."""
    version = soap.version(body)
    if status == 400 and version == soap.SOAP_11:
        status = 500
    made = soap.fault(error, words, kind=kind, soap=version)
    return Response(made, status, headers, media_type=f"{soap.TYPES[version]}; charset=utf-8")


def _type(call: soap.Call) -> str:
    name = call.declared if call.charset == "gb18030" and call.declared else "utf-8"
    return f"{soap.TYPES[call.soap]}; charset={name}"
