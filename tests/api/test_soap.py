"""Messages by SOAP over a real socket, from zeep (a client that nobody here wrote) and byte by byte."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests
import zeep
from lxml import etree
from zeep.wsse.username import UsernameToken

from gateway.api import soap as door_soap
from gateway.codec import soap
from gateway.codec.charset import MARK
from gateway.model import Frame
from tests.api.conftest import Door

HL7 = "MSH|^~\\&|LIS|LAB|||20260305||ORU^R01|1|P|2.4\rPID|1||7^^^LAB^MR||张三\r"
ACK = "MSH|^~\\&|||LIS|LAB|20260305||ACK|1|P|2.4|||||CHN|GB 18030-2000\rMSA|AA|1|收到\r".encode("gb18030")
ROWS = '<?xml version="1.0" encoding="GB2312"?><rows><row><姓名>张三</姓名></row></rows>'
ENVELOPE = """\
<?xml version="1.0" encoding="{charset}"?>
<soap:Envelope xmlns:soap="{soap}"><soap:Header>{header}</soap:Header><soap:Body>{body}</soap:Body></soap:Envelope>"""
NAMES = {"s": soap.SOAP_11, "t": soap.SOAP_12}


def envelope(body: str, *, version: str = soap.SOAP_11, header: str = "", charset: str = "utf-8") -> bytes:
    text = ENVELOPE.format(charset=charset, soap=version, header=header, body=body)
    return text.encode({"GB2312": "gb18030", "GBK": "gb18030"}.get(charset, charset))


def zeep_client(address: str, *, token: str = "", wsse: UsernameToken | None = None) -> zeep.Client:
    session = requests.Session()
    session.trust_env = False
    if token:
        session.headers["Authorization"] = f"Bearer {token}"
    transport = zeep.Transport(session=session, timeout=60, operation_timeout=60)
    return zeep.Client(f"{address}/soap/lab-web?wsdl", transport=transport, wsse=wsse)


async def beside(function: Callable[[], Any]) -> Any:
    """zeep blocks; the server runs in this loop."""
    return await asyncio.to_thread(function)


async def post(address: str, door: Door, body: bytes, *, channel: str = "lab-web", **headers: str) -> httpx.Response:
    sent = {"authorization": f"Bearer {door.token()}", "content-type": "text/xml", **headers}
    async with httpx.AsyncClient(base_url=address) as client:
        return await client.post(f"/soap/{channel}", content=body, headers={k: v for k, v in sent.items() if v})


# ---------------------------------------------------------------------------------------------- a real client


@pytest.mark.parametrize("port", ["Soap11", "Soap12"])
async def test_zeep_sends_hl7_and_gets_its_acknowledgement(door: Door, address: str, port: str) -> None:
    door.reply = ACK

    def call() -> tuple[Any, Any]:
        client = zeep_client(address, token=door.token())
        service = client.bind("Hutong", port)
        return service.Send(HL7), service.HIPMessageServer("S0012", HL7)

    for answered in await beside(call):
        assert answered == ACK.decode("gb18030")
    first, second = door.frames
    assert first.body == second.body == MARK + HL7.rstrip("\r").encode()
    assert first.channel == "lab-web"
    assert second.peer.startswith("S0012@127.0.0.1")


@pytest.mark.parametrize(
    ("reply", "code"), [(b"", "0"), (b'{"issue":[{"severity":"error","diagnostics":"row 3 <x>"}]}', "1")]
)
async def test_zeep_gets_a_receipt_in_the_form_of_its_message(
    door: Door, address: str, reply: bytes, code: str
) -> None:
    door.reply = reply

    def call() -> list[str]:
        service = zeep_client(address, token=door.token()).service
        return [service.Send(each) for each in (ROWS, '{"xm": "张三"}', "姓名,结果\n张三,阳性")]

    in_xml, in_json, in_text = await beside(call)
    assert etree.fromstring(in_xml).findtext("ResultCode") == code
    assert f'"ResultCode":"{code}"' in in_json.replace(" ", "")
    assert in_text == in_xml
    assert ("row 3 <x>" in etree.fromstring(in_xml).findtext("ResultContent")) == (code == "1")
    assert [frame.body for frame in door.frames] == [
        MARK + ROWS.encode(), '{"xm": "张三"}'.encode(), MARK + "姓名,结果\n张三,阳性".encode()
    ]  # fmt: skip


async def test_zeep_with_ws_security(door: Door, address: str) -> None:
    token = door.token("intake/lab-web")
    await beside(lambda: zeep_client(address, wsse=UsernameToken("lis", token)).service.Send(HL7))
    assert len(door.frames) == 1
    for wsse, cause in (
        (UsernameToken("lis", "wrong"), "not valid"),
        (UsernameToken("lis", token, use_digest=True), "PasswordDigest"),
        (None, "a token is needed"),
    ):
        with pytest.raises(zeep.exceptions.Fault, match=cause) as raised:
            await beside(lambda wsse=wsse: zeep_client(address, wsse=wsse).service.Send(HL7))
        assert any("\u4e00" <= character < "\u9fff" for character in raised.value.message)
        assert "wrong" not in raised.value.message
    assert len(door.frames) == 1


async def test_zeep_is_told_of_a_full_disk_and_may_send_again(door: Door, address: str) -> None:
    door.broken = True
    client = await beside(lambda: zeep_client(address, token=door.token()))
    with pytest.raises(zeep.exceptions.Fault, match="the disk is full") as raised:
        await beside(lambda: client.service.Send(HL7))
    assert raised.value.code == "soap:Server"
    door.broken = False
    await beside(lambda: client.service.Send(HL7))
    assert len(door.frames) == 1


# ---------------------------------------------------------------------------------------------- byte by byte


@pytest.mark.parametrize("version", [soap.SOAP_11, soap.SOAP_12])
@pytest.mark.parametrize("charset", ["utf-8", "GB2312", "GBK", "gb18030", "utf-16"])
async def test_the_charset_that_the_envelope_declares(door: Door, address: str, charset: str, version: str) -> None:
    body = "<Send xmlns='urn:other'><message>姓名,结果\n朱镕基㛃,·—阳性</message></Send>"
    got = await post(address, door, envelope(body, version=version, charset=charset))
    assert got.status_code == 200
    assert door.frames[0].body == MARK + "姓名,结果\n朱镕基㛃,·—阳性".encode()
    root = etree.fromstring(got.content)
    result = root.find(".//{urn:other}SendResponse/{urn:other}SendResult")
    assert result is not None
    assert "已接收" in result.text
    assert got.headers["content-type"].startswith(soap.TYPES[version])
    if charset in ("GB2312", "GBK"):
        assert charset.encode() in got.content[:60]
        assert f"charset={charset}" in got.headers["content-type"]


async def test_the_charset_of_the_header_goes_first(door: Door, address: str) -> None:
    body = envelope("<Send><message>姓名</message></Send>", charset="GBK").replace(b"GBK", b"utf-8")
    kind = "text/xml; charset=GBK"
    assert (await post(address, door, body, **{"content-type": kind})).status_code == 200
    assert door.frames[0].body == MARK + "姓名".encode()


@pytest.mark.parametrize(
    ("arguments", "action", "message"),
    [
        ("<message>a</message>", "", "a"),
        ("<x:anything xmlns:x='urn:x'><![CDATA[<rows/>]]></x:anything>", "", "<rows/>"),
        ("<action>S1</action><message>a</message>", "S1", "a"),
        ("<message>a</message><action>S1</action>", "S1", "a"),
        ("<arg0>S1</arg0><arg1>a</arg1>", "S1", "a"),
        ("<in0>a</in0>", "", "a"),
        ("a", "", "a"),
        ("<message><rows><row>1</row></rows></message>", "", "<rows><row>1</row></rows>"),
        ("<!-- x --><message>a<!-- y -->b</message>", "", "ab"),
    ],
)
def test_what_is_the_message(arguments: str, action: str, message: str) -> None:
    call = soap.read(envelope(f"<Op>{arguments}</Op>"))
    assert (call.operation, call.action, call.message) == ("Op", action, message)


LAUGHS = "<!DOCTYPE a [<!ENTITY a 'x'><!ENTITY b '&a;&a;'>]>"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "empty"),
        (b"not xml", "not well-formed"),
        (b"<a/>", "no envelope"),
        (envelope("<Send><message>a</message></Send>")[:-9], "not well-formed"),
        (envelope("").replace(b"<soap:Body>", b"<soap:Body><!-- -->"), "0 operations"),
        (envelope("<a/><b/>"), "2 operations"),
        (envelope("<Send><message> </message></Send>"), "empty"),
        (envelope("<Send><a>1</a><b>2</b><c>3</c></Send>"), "3 arguments"),
        (envelope("<Send>" * 70 + "</Send>" * 70), "levels"),
        (envelope("<Send><m>" + "<a/>" * 401 + "</m></Send>"), "levels"),
        (envelope("<Send/>", header="<x soap:mustUnderstand='1'/>"), "must be understood"),
        (envelope("<Send/>", charset="ascii").replace(b"ascii", b"klingon"), "charset is unknown"),
        ((LAUGHS + "<a>&b;</a>").encode(), "DOCTYPE"),
        (b"<!--" + b"x" * 70_000 + b"-->" + LAUGHS.encode() + envelope("<Send><m>&b;</m></Send>")[39:], "DOCTYPE"),
    ],
)
@pytest.mark.parametrize("version", [soap.SOAP_11, soap.SOAP_12])
async def test_faults(
    door: Door, address: str, monkeypatch: pytest.MonkeyPatch, body: bytes, cause: str, version: str
) -> None:
    monkeypatch.setattr(soap, "ELEMENTS_LIMIT", 400)
    door.services.intake_limit = 2**17
    body = body.replace(soap.SOAP_11.encode(), version.encode())
    got = await post(address, door, body)
    assert not door.frames
    root = etree.fromstring(got.content)
    kind = "s" if soap.version(body) == soap.SOAP_11 else "t"
    fault = root.find(f"{kind}:Body/{kind}:Fault", NAMES)
    assert fault is not None
    said = "".join(fault.itertext())
    assert cause in said
    assert any("\u4e00" <= character < "\u9fff" for character in said)
    if kind == "s":
        assert got.status_code in (400, 500)
        assert fault.findtext("faultcode", "").startswith("soap:")
        assert fault.find(f"detail/{{{soap.NAMESPACE}}}place") is not None
    else:
        assert got.status_code == 400
        languages = [
            each.get("{http://www.w3.org/XML/1998/namespace}lang") for each in fault.iter(f"{{{version}}}Text")
        ]
        assert languages == ["zh", "en"]


async def test_tokens_scopes_and_channels(door: Door, address: str) -> None:
    body = envelope("<Send><message>a</message></Send>")
    basic = base64.b64encode(f"anybody:{door.token('intake/*')}".encode()).decode()
    assert (await post(address, door, body, authorization=f"Basic {basic}")).status_code == 200
    for authorization, channel, status in [
        ("", "lab-web", 401), ("Basic !!", "lab-web", 401), ("Bearer hutong_x", "lab-web", 401),
        (f"Bearer {door.token('intake/other')}", "lab-web", 403), (f"Basic {basic}", "lab-mllp", 404),
        (f"Basic {basic}", "nobody", 404),
    ]:  # fmt: skip
        got = await post(address, door, body, channel=channel, authorization=authorization)
        assert got.status_code == status
        assert etree.fromstring(got.content).find(".//s:Fault", NAMES) is not None
        assert ("www-authenticate" in got.headers) == (status == 401)
    assert len(door.frames) == 1


async def test_wrong_tokens_are_counted(door: Door, address: str) -> None:
    body = envelope("<Send><message>a</message></Send>")
    statuses = {(await post(address, door, body, authorization="Bearer x")).status_code for _ in range(25)}
    assert not door.frames
    assert statuses == {401, 429}


async def test_the_description_needs_no_token_and_tells_no_channels(door: Door, address: str) -> None:
    async with httpx.AsyncClient(base_url=address) as client:
        known = await client.get("/soap/lab-web?wsdl")
        unknown = await client.get("/soap/nobody?WSDL")
        assert known.status_code == unknown.status_code == 200
        assert unknown.text == known.text.replace("lab-web", "nobody")
        assert f"{address}/soap/lab-web" in known.text
        assert (await client.get("/soap/lab-web")).status_code == 405
        assert (await client.get("/soap/a%22%3E%3Cb/?wsdl")).status_code in (404, 405)
        assert etree.fromstring((await client.get("/soap/%22%3E%3Cscript%3E?wsdl")).content) is not None


async def test_an_envelope_that_is_too_large(door: Door, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_soap, "UNKNOWN_LIMIT", 2000)
    large = envelope(f"<Send><message>{'x' * 3000}</message></Send>")
    assert (await post(address, door, large, authorization="")).status_code == 413
    assert (await post(address, door, large)).status_code == 200
    assert (await post(address, door, envelope(f"<Send><message>{'x' * 70000}</message></Send>"))).status_code == 413


async def test_the_same_call_again_is_the_same_message(door: Door, address: str) -> None:
    for text in ("a", "a", "b"):
        await post(address, door, envelope(f"<Send><message>{text}</message></Send>"))
    first, again, other = door.frames
    assert (first.identity, first.body) == (again.identity, again.body)
    assert isinstance(other, Frame)
    assert other.identity != first.identity


def test_a_large_message_in_one_string() -> None:
    text = "OBX|1|ED|||^^^Base64^" + "A" * 12_000_000
    assert soap.read(envelope(f"<Send><message>{text}</message></Send>")).message == text
