"""A community folder for the tests, and messages from it: a township, a county hospital, two centres, a clinic.

Everybody in it is made up.
"""

from __future__ import annotations

from pathlib import Path

HEADER = """\
id: sanhe
name: 三河县医共体
open: {open}
members: members
"""

TOWNSHIP = """\
id: qinghe
name: 清河镇卫生院
identifier: 12529901MB990011XK
kind: township
facilities: [QINGHE]
profile:
  charset: GB18030
  version: "2.4"
  application: HIS2008
channels:
  - {{id: qinghe-his, transport: mllp, format: hl7v2}}
  - {{id: qinghe-lab, transport: files, format: delimited, folder: drop/qinghe-lab, map: laboratory-results}}
  - {{id: qinghe-messages, transport: files, format: hl7v2, folder: drop/qinghe-messages}}
subscriptions:
  - id: qinghe-reports
    criteria: ["DiagnosticReport?status=preliminary,final,corrected"]
    only: placed-here
    transport: mllp
    address: {township}
    format: hl7v2
    message: ORU_R01
"""

COUNTY = """\
id: county
name: 三河县人民医院
identifier: 12529901MB9900013D
kind: hospital
facilities: [COUNTY]
queries: true
profile: {{charset: UTF-8, version: "2.5.1"}}
channels:
  - {{id: county-his, transport: mllp, format: hl7v2}}
subscriptions:
  - id: county-laboratory
    criteria: ["DiagnosticReport?category=LAB&status=final,corrected"]
    transport: mllp
    address: {county}
    format: hl7v2
    message: ORU_R01
    attempts: {attempts}
"""

IMAGING = """\
id: imaging
name: 三河县影像中心
identifier: 12529901MB99004512
kind: centre
facilities: [IMAGING]
channels:
  - {{id: imaging-reports, transport: http, format: fhir}}
subscriptions:
  - id: imaging-orders
    criteria: ["ServiceRequest?category=http://snomed.info/sct|363679005&status=active"]
    transport: http
    address: {imaging}
    format: fhir
    message: bundle
    headers: {{Authorization: "env:SANHE_IMAGING"}}
"""

LABORATORY = """\
id: lab
name: 三河县检验中心
identifier: 12529901MB99004520
kind: centre
facilities: [LAB]
channels:
  - {{id: lab-lis, transport: mllp, format: hl7v2}}
"""

CLINIC = """\
id: clinic
name: 河口村卫生室
identifier: 52529901MB9900478M
kind: village
facilities: [CLINIC]
subscriptions:
  - id: clinic-patients
    criteria: ["Patient"]
    transport: files
    address: out/clinic
    format: fhir
    message: resource
"""


def write(
    folder: Path,
    *,
    township: str = "127.0.0.1:9",
    county: str = "127.0.0.1:9",
    imaging: str = "http://127.0.0.1:9/",
    attempts: int = 2,
    everybody: bool = False,
) -> Path:
    """The community's folder; returns its community.yaml. `everybody`: open to senders that are not listed."""
    texts = {"qinghe": TOWNSHIP, "county": COUNTY, "imaging": IMAGING, "lab": LABORATORY, "clinic": CLINIC}
    for name, text in texts.items():
        (folder / "members" / name).mkdir(parents=True)
        filled = text.format(township=township, county=county, imaging=imaging, attempts=attempts)
        (folder / "members" / name / "member.yaml").write_text(filled, "utf-8")
    (folder / "community.yaml").write_text(HEADER.format(open=str(everybody).lower()), "utf-8")
    return folder / "community.yaml"


# ------------------------------------------------------------------------------------------------ messages


def registration(
    control_id: str = "R1", *, number: str = "QH1", name: str = "周小䶮", birth: str = "19680315"
) -> bytes:
    """A patient at the township's window, as its HIS writes it: v2.4, GB18030."""
    return _gb18030(
        f"MSH|^~\\&|HIS2008|QINGHE|HUTONG|sanhe|20260312073000||ADT^A04|{control_id}|P|2.4|||||CHN|GB 18030-2000",
        "EVN|A04|20260312073000",
        f"PID|1||{number}^^^QINGHE^PI||{name}^^^^^^L||{birth}|M|||河口路5号^^三河县^示例省^529901^CHN^H",
        f"PV1|1|O|内科^^^QINGHE||||D01^何医生||||||||||||V{number}|||||||||||||||||||||||||20260312073000",
    )


def order(control_id: str = "O1", *, number: str = "QH1", placer: str = "QX1") -> bytes:
    """A chest CT, asked for by the township."""
    return _gb18030(
        f"MSH|^~\\&|HIS2008|QINGHE|HUTONG|sanhe|20260312081000||ORM^O01|{control_id}|P|2.4|||||CHN|GB 18030-2000",
        f"PID|1||{number}^^^QINGHE^PI||周小䶮^^^^^^L||19680315|M",
        f"PV1|1|O|内科^^^QINGHE||||D01^何医生||||||||||||V{number}",
        f"ORC|NW|{placer}^HIS2008|||||^^^20260312083000^^R||20260312081000|D01^何医生||D01^何医生",
        f"OBR|1|{placer}^HIS2008||XM05^胸部CT平扫^L|R|20260312081000|||||||咳嗽||^胸部|D01^何医生||||||||CT|||^^^20260312083000^^R",
    )


def result(
    control_id: str = "L1", *, number: str = "C1", report: str = "F1", name: str = "赵^六", value: str = "6.8",
    facility: str = "LAB", processing: str = "P", kind: str = "ORU^R01^ORU_R01",
) -> bytes:  # fmt: skip
    """One potassium, from the laboratory centre, in UTF-8."""
    head = f"MSH|^~\\&|LIS|{facility}|HUTONG|sanhe|20260312110000||{kind}|{control_id}|{processing}"
    return _message(
        f"{head}|2.5.1|||||CHN|UNICODE UTF-8",
        f"PID|1||{number}^^^{facility}^PI||{name}||19720608|M",
        "PV1|1|O",
        f"ORC|RE|P{report}|{report}",
        f"OBR|1|P{report}|{report}|0201^电解质^L|||20260312100000|||||||||||||||20260312111500||LAB|F",
        f"OBX|1|NM|2823-3^钾^LN||{value}|mmol/L|3.5-5.3|H|||F|||20260312111500",
    ).encode()


EXPORT_COLUMNS = (
    "机构编码,机构名称,申请单号,条码号,病人ID,姓名,性别,身份证号,门诊住院号,"
    "组合代码,组合名称,项目代码,项目名称,结果,单位,参考范围,采样时间,报告时间"
)


def export(*rows: tuple[str, str, str], columns: str = EXPORT_COLUMNS) -> bytes:
    """The township's laboratory export: (request number, patient number, value) a row; GB18030."""
    lines = [
        f"12529901MB990011XK,清河镇卫生院,{request},B{request},{number},司马青,男,,V{number},0201,电解质,020101,钾,{value},mmol/L,3.5-5.3,"
        "2026-03-12 10:10:00,2026-03-12 11:15:00"
        for request, number, value in rows
    ]
    return ("\r\n".join([columns, *lines]) + "\r\n").encode("gb18030")


def _message(*segments: str) -> str:
    return "\r".join(segments) + "\r"


def _gb18030(*segments: str) -> bytes:
    return _message(*segments).encode("gb18030")
