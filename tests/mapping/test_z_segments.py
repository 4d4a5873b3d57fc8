"""Local segments: kept where they stand, mapped both ways by a community's own lines; old versions and names."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.codec import hl7v2
from gateway.mapping.maps import Address, load, shipped
from tests.mapping.house import SHANGHAI, WHEN, all_of, by_reference, into, leads_of, message, only

URL = "urn:example:turnaround"
OWN = """
OBR => DiagnosticReport.extension*{url=urn:example:turnaround} in ORU_R01 if ZLB-1
  ZLB-1          <-> valueCodeableConcept : CWE
"""
PANELS = (
    "OBR|1||F1|0201^血常规^L|||20260312||||||||||||||||||F", "ZLB|2H^两小时^L",
    "OBX|1|NM|WBC^白细胞^L||7.5|10*9/L|||||F",
    "OBR|2||F2|0202^生化^L|||20260312||||||||||||||||||F", "ZLB|24H^一天^L",
    "OBX|1|NM|K^钾^L||4.10|mmol/L|||||F",
)  # fmt: skip


def test_an_own_line_maps_a_local_segment_both_ways(tmp_path: Path) -> None:
    (tmp_path / "own.map").write_text(OWN, encoding="utf-8")
    maps = load([shipped(), tmp_path])
    body = message("ORU^R01^ORU_R01", *PANELS)
    made = maps.to_fhir(hl7v2.decode(body), profile=SHANGHAI, when=WHEN)
    found = [
        [
            each["valueCodeableConcept"]["text"]
            for each in report["extension"]
            if each["url"] == "urn:example:turnaround"
        ]
        for report in all_of(made, "DiagnosticReport")
    ]
    assert found == [["两小时"], ["一天"]]
    to = Address(profile=SHANGHAI, facility="COUNTY", control_id="B", when=WHEN)
    written = maps.from_fhir(
        by_reference(made.bundle), leads_of(made.bundle, made.structure), structure="ORU_R01", to=to
    )
    segments = hl7v2.decode(written).segments
    assert ["|".join(each) for each in segments if each[0] == "ZLB"] == ["ZLB|2H^两小时^L", "ZLB|24H^一天^L"]
    names = [each[0] for each in segments if each[0] in ("OBR", "ZLB")]
    assert names == ["OBR", "ZLB", "OBR", "ZLB"]


def test_a_local_segment_that_no_line_names_disturbs_nobody() -> None:
    plain = into(message("ORU^R01^ORU_R01", *(line for line in PANELS if not line.startswith("Z"))))
    assert into(message("ORU^R01^ORU_R01", *PANELS)).bundle == plain.bundle


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.6", "2.8.2", "2.9", "2.5.1^CHN"])
def test_every_version_is_read(version: str) -> None:
    body = message("ORU^R01", *PANELS).replace(b"|2.5.1", f"|{version}".encode())
    header = hl7v2.decode(body).header
    assert hl7v2.check(hl7v2.decode(body)) == []
    assert header.version == version.partition("^")[0]
    assert len(all_of(into(body), "DiagnosticReport")) == 2


def test_an_order_of_old_days_is_an_obr_alone() -> None:
    made = into(message("ORM^O01", "OBR|1|P1||0201^血常规^L", pid="PID|1|300001||300002|张^伟"))
    assert only(made, "ServiceRequest")["identifier"][0]["value"] == "P1"
    assert [each["value"] for each in only(made, "Patient")["identifier"]] == ["300001", "300002"]
