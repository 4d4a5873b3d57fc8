"""SOAP envelopes with one operation and a string in it, as hospitals' buses push messages: read, answered, refused.

    Send(message)                          one string: HL7 v2 text, XML rows, JSON
    HIPMessageServer(action, message)      two strings: the service's name beside it

Read by local names, whatever the namespace: clients are built from many WSDLs. SOAP 1.1 and 1.2 (W3C Note 2000-05-08;
SOAP 1.2 Part 1). Safe: no DOCTYPE, so no entities (1.1 §3, 1.2 Part 1 §5); bounded in depth and number.
"""

from __future__ import annotations

import copy
import io
import re
from dataclasses import dataclass
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from lxml import etree

from gateway.codec import charset as charsets
from gateway.codec.xml_prolog import has_doctype
from gateway.errors import HutongError, Permanent

SOAP_11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12: Final = "http://www.w3.org/2003/05/soap-envelope"
NAMESPACE: Final = "urn:hutong:soap"
TYPES: Final = {SOAP_11: "text/xml", SOAP_12: "application/soap+xml"}
DEPTH_LIMIT: Final = 64  # elements inside each other
ELEMENTS_LIMIT: Final = 200_000
_WSSE: Final = "oasis-200401-wss-wssecurity-secext-1.0.xsd"  # the end of WS-Security's namespace (OASIS, 2004)
_XML: Final = "{http://www.w3.org/XML/1998/namespace}"
_DECLARATION: Final = re.compile(r"\A\s*<\?xml[^>]*?\?>")
_DECLARED: Final = re.compile(rb"""\A[\s\xef\xbb\xbf]*<\?xml[^>]*encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")  # XML 1.0 §2.2
_MESSAGE: Final = ("message", "msg", "payload", "content", "body", "xml", "data", "request", "input")
_ACTION: Final = ("action", "method", "service", "code")


class Fault(Permanent):
    """An envelope that is refused. `kind`: Sender, VersionMismatch or MustUnderstand (SOAP 1.2 Part 1 §5.4.6); `words`
    say the cause and the remedy in Chinese."""

    def __init__(self, cause: str, words: str, *, kind: str = "Sender", place: str = "SOAP Body", remedy: str = ""):
        super().__init__(cause, place=place, remedy=remedy, code="102")
        self.kind = kind
        self.words = words


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What an envelope asks for."""

    soap: str  # the envelope's namespace: SOAP_11 or SOAP_12
    operation: str  # local name
    namespace: str  # of the operation, "" for none
    message: str
    action: str = ""
    password: str = ""  # of a WS-Security UsernameToken
    charset: str = "utf-8"  # Python codec in which it came
    declared: str = ""  # how it called that


def read(body: bytes, declared: str = "") -> Call:
    """The call in an envelope. `declared` is the charset of the HTTP header, which goes before the XML declaration (RFC
    7303 §3.2). Raises Fault."""
    found = _DECLARED.match(body)
    name = declared.strip("\"' ") or (found[1].decode() if found else "")
    if name and not charsets.codec_of(name):
        remedy = "declare UTF-8 or GB18030"
        raise Fault("the declared charset is unknown", "声明的字符集未知，请用 UTF-8 或 GB18030", remedy=remedy)
    try:
        decoded = charsets.decode(body, "", name)
    except HutongError as error:
        words = "字节与声明的字符集不符，请核对编码"
        raise Fault(error.cause, words, place="charset", remedy=error.remedy) from None
    root = _tree(decoded.text)
    soap = _soap(root)
    header, operation = _parts(root, soap)
    action, message = _strings(operation)
    return Call(
        soap=soap, operation=_local(operation), namespace=str(etree.QName(operation).namespace or ""), message=message,
        action=action, password=_password(header, soap), charset=decoded.charset, declared=name,
    )  # fmt: skip


def answer(call: Call, text: str) -> bytes:
    """The envelope of an answer, in the charset and with the names that the call used."""
    envelope = _envelope(call.soap)
    body = etree.SubElement(envelope, f"{{{call.soap}}}Body")
    space = f"{{{call.namespace}}}" if call.namespace else ""
    response = etree.SubElement(body, f"{space}{call.operation}Response", nsmap=_nsmap(call.namespace))
    result = etree.SubElement(response, f"{space}{call.operation}Result")
    result.text = _writable(text)
    return _bytes(envelope, call)


def fault(error: HutongError, words: str, *, kind: str, soap: str = SOAP_11) -> bytes:
    """The envelope of a refusal (1.1 §4.4, 1.2 Part 1 §5.4): cause in Chinese and English, place and remedy beside."""
    envelope = _envelope(soap)
    made = etree.SubElement(etree.SubElement(envelope, f"{{{soap}}}Body"), f"{{{soap}}}Fault")
    english = f"{error.cause}; {error.remedy}" if error.remedy else error.cause
    if soap == SOAP_12:
        code = etree.SubElement(etree.SubElement(made, f"{{{soap}}}Code"), f"{{{soap}}}Value")
        code.text = f"soap:{kind}"
        reason = etree.SubElement(made, f"{{{soap}}}Reason")
        for language, text in (("zh", words), ("en", english)):
            etree.SubElement(reason, f"{{{soap}}}Text", {f"{_XML}lang": language}).text = _writable(text)
        detail = etree.SubElement(made, f"{{{soap}}}Detail")
    else:
        old = {"Sender": "Client", "Receiver": "Server"}.get(kind, kind)
        etree.SubElement(made, "faultcode").text = f"soap:{old}"
        etree.SubElement(made, "faultstring").text = _writable(f"{words} / {english}")
        detail = etree.SubElement(made, "detail")
    for tag, text in (("place", error.place), ("cause", error.cause), ("remedy", error.remedy)):
        etree.SubElement(detail, f"{{{NAMESPACE}}}{tag}", nsmap=_nsmap(NAMESPACE)).text = _writable(text)
    return etree.tostring(envelope, encoding="utf-8", xml_declaration=True)


def version(body: bytes) -> str:
    """The SOAP version of whatever came, for a fault: 1.2 where its namespace stands in the beginning."""
    return SOAP_12 if SOAP_12.encode() in body[:4096] else SOAP_11


def wsdl(address: str) -> bytes:
    """The description (WSDL 1.1, document/literal wrapped) of both operations at this address, for both versions."""
    return _WSDL.replace("ADDRESS", quoteattr(address)).encode()


def _tree(text: str) -> Any:
    if has_doctype(text):
        raise Fault("it has a DOCTYPE", "SOAP 不允许 DOCTYPE", place="SOAP Envelope", remedy="write it without")
    source = io.BytesIO(_DECLARATION.sub("", text, count=1).encode())
    events = etree.iterparse(
        source, events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True,
        remove_comments=True, remove_pis=True, encoding="utf-8",
    )  # fmt: skip
    depth = elements = 0
    try:
        for event, _ in events:
            depth += 1 if event == "start" else -1
            elements += event == "start"
            if depth > DEPTH_LIMIT or elements > ELEMENTS_LIMIT:
                cause = f"more than {DEPTH_LIMIT} levels or {ELEMENTS_LIMIT} elements"
                raise Fault(cause, "XML 嵌套过深或元素过多", remedy="send rows as text in one string")
    except etree.XMLSyntaxError as error:
        line, column = error.position
        cause = f"not well-formed at line {line}, column {column}"
        remedy = "escape the message (&lt; &amp;) or put it into CDATA"
        words = f"XML 格式错误（第 {line} 行第 {column} 列），请转义消息或放入 CDATA"
        raise Fault(cause, words, place="SOAP Envelope", remedy=remedy) from None
    return events.root


def _soap(root: Any) -> str:
    name = etree.QName(root)
    if name.localname != "Envelope" or name.namespace not in TYPES:
        cause = "this is no envelope of SOAP 1.1 or 1.2"
        remedy = "send it as the WSDL at ?wsdl says"
        words = "不是 SOAP 1.1 或 1.2 的 Envelope，请按 ?wsdl 发送"
        raise Fault(cause, words, kind="VersionMismatch", place="SOAP Envelope", remedy=remedy)
    return str(name.namespace)


def _parts(root: Any, soap: str) -> tuple[Any, Any]:
    """The Header (None where there is none) and the operation."""
    parts = {_local(child): child for child in root}
    header = parts.get("Header")
    for block in header if header is not None else ():
        known = str(etree.QName(block).namespace or "").endswith(_WSSE)
        if not known and block.get(f"{{{soap}}}mustUnderstand") in ("1", "true"):
            cause = f"the header {_local(block)!r} must be understood, and is not"
            remedy = "send it without mustUnderstand"
            words = f"无法理解必须处理的头 {_local(block)}"
            raise Fault(cause, words, kind="MustUnderstand", place="SOAP Header", remedy=remedy)
    body = parts.get("Body")
    operations = list(body) if body is not None else []
    if len(operations) != 1:
        cause = f"there are {len(operations)} operations in the Body"
        raise Fault(cause, "Body 中必须有且只有一个操作", remedy="send one: Send(message)")
    return header, operations[0]


def _strings(operation: Any) -> tuple[str, str]:
    """(action, message): by their names, else by their place; one alone is the message."""
    given = [(_local(child).lower(), _text(child)) for child in operation]
    if not given:
        given = [("message", _text(operation))]
    if len(given) > 2:
        cause = f"the operation has {len(given)} arguments"
        raise Fault(cause, "参数应为一个或两个字符串", remedy="send Send(message) or HIPMessageServer(action, message)")
    message = next((index for index, (name, _) in enumerate(given) if name in _MESSAGE), len(given) - 1)
    if len(given) == 2 and given[message][0] not in _MESSAGE and given[1][0] in _ACTION:
        message = 0
    action = next((text for index, (_, text) in enumerate(given) if index != message), "")
    if not given[message][1].strip():
        raise Fault("the message is empty", "消息为空", remedy="put the message into the string")
    return action.strip(), given[message][1]


def _text(element: Any) -> str:
    """The string in it; XML that was put there unescaped is the message as it stands."""
    if not len(element):
        return str(element.text or "")
    inner = [copy.deepcopy(child) for child in element]
    for child in inner:
        etree.cleanup_namespaces(child)  # those of the envelope are none of the message
    return (element.text or "").strip() + "".join(etree.tostring(child, encoding="unicode") for child in inner)


def _password(header: Any, soap: str) -> str:
    """Of a UsernameToken with a plain password (WS-Security UsernameToken Profile 1.0 §3.1)."""
    for element in header.iter() if header is not None else ():
        if isinstance(element.tag, str) and _local(element) == "Password":
            if str(element.get("Type", "")).endswith("#PasswordDigest"):
                cause = "a password digest cannot be checked: of tokens only hashes are kept"
                words = "无法校验 PasswordDigest，请改用 PasswordText"
                raise Fault(cause, words, place="SOAP Header", remedy="send it as PasswordText, over TLS")
            return str(element.text or "").strip()
    return ""


def _local(element: Any) -> str:
    return str(etree.QName(element).localname)


def _envelope(soap: str) -> Any:
    return etree.Element(f"{{{soap}}}Envelope", nsmap={"soap": soap})


def _nsmap(namespace: str) -> Any:
    """The namespace as the default one; lxml's stubs know no None here."""
    return {None: namespace} if namespace else {}


def _writable(text: str) -> str:
    """Without what XML cannot hold."""
    return _UNWRITABLE.sub("", text)


def _bytes(envelope: Any, call: Call) -> bytes:
    """UTF-8, or the GB charset that the sender declared; what that cannot write becomes a character reference."""
    if call.charset != "gb18030":
        return etree.tostring(envelope, encoding="utf-8", xml_declaration=True)
    name = call.declared.upper() if charsets.codec_of(call.declared) == "gb18030" else "GB18030"
    codec = {"GB2312": "gb2312", "GBK": "gbk"}.get(name, "gb18030")
    text = etree.tostring(envelope, encoding="unicode")
    return f'<?xml version="1.0" encoding="{name}"?>\n{text}'.encode(codec, "xmlcharrefreplace")


_WSDL: Final = """\
<?xml version="1.0" encoding="utf-8"?>
<definitions name="Hutong" targetNamespace="urn:hutong:soap" xmlns="http://schemas.xmlsoap.org/wsdl/"
    xmlns:tns="urn:hutong:soap" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
    xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <types>
    <xs:schema targetNamespace="urn:hutong:soap" elementFormDefault="qualified">
      <xs:element name="Send"><xs:complexType><xs:sequence>
        <xs:element name="message" type="xs:string"/>
      </xs:sequence></xs:complexType></xs:element>
      <xs:element name="SendResponse"><xs:complexType><xs:sequence>
        <xs:element name="SendResult" type="xs:string"/>
      </xs:sequence></xs:complexType></xs:element>
      <xs:element name="HIPMessageServer"><xs:complexType><xs:sequence>
        <xs:element name="action" type="xs:string"/>
        <xs:element name="message" type="xs:string"/>
      </xs:sequence></xs:complexType></xs:element>
      <xs:element name="HIPMessageServerResponse"><xs:complexType><xs:sequence>
        <xs:element name="HIPMessageServerResult" type="xs:string"/>
      </xs:sequence></xs:complexType></xs:element>
    </xs:schema>
  </types>
  <message name="SendIn"><part name="parameters" element="tns:Send"/></message>
  <message name="SendOut"><part name="parameters" element="tns:SendResponse"/></message>
  <message name="HIPMessageServerIn"><part name="parameters" element="tns:HIPMessageServer"/></message>
  <message name="HIPMessageServerOut"><part name="parameters" element="tns:HIPMessageServerResponse"/></message>
  <portType name="Intake">
    <operation name="Send"><input message="tns:SendIn"/><output message="tns:SendOut"/></operation>
    <operation name="HIPMessageServer">
      <input message="tns:HIPMessageServerIn"/><output message="tns:HIPMessageServerOut"/>
    </operation>
  </portType>
  <binding name="Soap11" type="tns:Intake">
    <soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="Send"><soap:operation soapAction="urn:hutong:soap:Send"/>
      <input><soap:body use="literal"/></input><output><soap:body use="literal"/></output></operation>
    <operation name="HIPMessageServer"><soap:operation soapAction="urn:hutong:soap:HIPMessageServer"/>
      <input><soap:body use="literal"/></input><output><soap:body use="literal"/></output></operation>
  </binding>
  <binding name="Soap12" type="tns:Intake">
    <soap12:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="Send"><soap12:operation soapAction="urn:hutong:soap:Send"/>
      <input><soap12:body use="literal"/></input><output><soap12:body use="literal"/></output></operation>
    <operation name="HIPMessageServer"><soap12:operation soapAction="urn:hutong:soap:HIPMessageServer"/>
      <input><soap12:body use="literal"/></input><output><soap12:body use="literal"/></output></operation>
  </binding>
  <service name="Hutong">
    <port name="Soap11" binding="tns:Soap11"><soap:address location=ADDRESS/></port>
    <port name="Soap12" binding="tns:Soap12"><soap12:address location=ADDRESS/></port>
  </service>
</definitions>
"""
