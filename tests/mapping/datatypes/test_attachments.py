"""Documents inside a message and pointers to documents outside."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from gateway.mapping.datatypes import load
from tests.mapping.house import context, into, message, only

PDF = base64.b64encode(b"%PDF-1.4 \xe5\x87\xba").decode()
TITLE = "PDF^出院小结PDF^L"


def attached(raw: str, kind: str = "ED", title: str = TITLE) -> Any:
    """The Attachment together with its Binary, as the writer hands it over."""
    around = context()
    made = load()["attachment"].into(raw, kind, title, around)
    binary = around.entries.get((made or {}).get("url", ""))
    return {**made, **binary.resource} if binary else made


@pytest.mark.parametrize(
    ("raw", "type_", "data"),
    [
        (f"^application^pdf^Base64^{PDF}", "application/pdf", PDF),
        (f"^TEXT^PDF^BASE64^{PDF}", "application/pdf", PDF),
        (f"^AP^x-dicom^Base64^{PDF}", "application/x-dicom", PDF),
        (f"^IM^jpeg^Base64^{PDF[:8]} {PDF[8:]}", "image/jpeg", PDF),
        (f"^application^pdf^Base64^{PDF[:8]}\\.br\\{PDF[8:]}", "application/pdf", PDF),
        ("^^^Hex^255044", "application/octet-stream", base64.b64encode(b"%PD").decode()),
        ("^TEXT^plain^A^所见\\S\\", "text/plain", base64.b64encode("所见^".encode()).decode()),
    ],
)
def test_documents_inside(raw: str, type_: str, data: str) -> None:
    made = attached(raw)
    assert made["contentType"] == type_
    assert made["data"] == data
    assert made["title"] == "出院小结PDF"


@pytest.mark.parametrize(
    "raw", ["", "^application^pdf^Base64^", "^application^pdf^Base64^###", "^AP^pdf^Hex^xyz", "^^^Zip^a"]
)
def test_what_cannot_be_read_is_noted(raw: str) -> None:
    around = context()
    assert load()["attachment"].into(raw, "ED", TITLE, around) is None
    assert around.notes == ["an embedded document that cannot be read stays in the raw message only"]


def test_pointers() -> None:
    made = attached("http://127.0.0.1/view?uid=1.2^青岚影像云^URL^HTML", "RP", "YXDZ^影像地址^L")
    assert (made["url"], made["title"], made["contentType"]) == (
        "http://127.0.0.1/view?uid=1.2",
        "影像地址",
        "text/html",
    )
    assert attached("two words", "RP") is None


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (f"^application^pdf^Base64^{PDF}", "ED"),
        (f"LIS&1.2&ISO^AP^PDF^BASE64^{PDF}", "ED"),
        ("^TEXT^plain^A^所见\\S\\", "ED"),
        ("^^^HEX^255044", "ED"),
        ("http://x/1^^URL", "RP"),
        ("http://x/1^^URL^html", "RP"),
        ("http://pacs/\\E\\7^WADO&1.2&ISO^IM^DICOM", "RP"),
        ("双肺纹理增多\\.br\\未见实变", "TX"),
        ("一~二^三", "FT"),
    ],
)
def test_documents_come_back_with_type_and_code(raw: str, kind: str) -> None:
    assert load()["attachment"].back(attached(raw, kind), context()) == (raw, kind, TITLE)


def test_a_document_made_elsewhere_is_written_with_its_title() -> None:
    made = {"contentType": "application/pdf", "data": PDF, "title": "报告"}
    assert load()["attachment"].back(made, context()) == (f"^application^pdf^Base64^{PDF}", "ED", "^报告")
    assert load()["attachment"].back({"url": "http://x"}, context()) == ("http://x^^URL", "RP", "^document")


def test_the_same_document_twice_is_one_binary() -> None:
    around = context()
    pair = load()["attachment"]
    one, two = (pair.into(f"^AP^pdf^Base64^{data}", "ED", TITLE, around) for data in (PDF, f"{PDF[:8]}\n{PDF[8:]}"))
    assert one["url"] == two["url"]
    ((url, entry),) = around.entries.items()
    assert (url, entry.resource["data"]) == (one["url"], PDF)
    assert entry.resource["id"] == hashlib.sha256(base64.b64decode(PDF)).hexdigest()
    assert one["size"] == len(base64.b64decode(PDF))


def test_a_document_of_many_pieces_is_hashed_as_a_whole() -> None:
    body = bytes(range(256)) * 12_289
    around = context()
    made = load()["attachment"].into(f"^AP^pdf^Base64^{base64.b64encode(body).decode()}", "ED", TITLE, around)
    assert around.entries[made["url"]].resource["id"] == hashlib.sha256(body).hexdigest()
    cut = base64.b64encode(body[:100]).decode() + base64.b64encode(body).decode()
    assert load()["attachment"].into(f"^AP^pdf^Base64^{cut}", "ED", TITLE, around) is None


def test_a_document_that_is_not_at_hand_is_not_written_as_a_pointer() -> None:
    around = context()
    assert load()["attachment"].back({"url": "Binary/abc", "title": "a"}, around)[0] == ""
    assert around.notes == ["an attached document is not in the record; it was not written"]


def test_a_section_that_repeats_is_one_text_with_all_of_it() -> None:
    """Each repetition of OBX-5 is a line (TX, v2.5.1 §2.A.79), in a document as in a report."""
    body = message(
        "MDM^T02^MDM_T02", "TXA|1|CN|TX|||||||||DOC1^EMR", "OBX|1|TX|18842-5^小结^LN||胸闷3天~低盐饮食||||||F"
    )
    (content,) = only(into(body), "DocumentReference")["content"]
    assert base64.b64decode(content["attachment"]["data"]).decode() == "胸闷3天\n低盐饮食"
