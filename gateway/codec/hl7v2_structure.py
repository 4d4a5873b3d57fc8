"""Message structures by event (HL7 table 0354, v2.5.1 with the v2.7 additions): ADT^A04 is built like ADT_A01."""

from __future__ import annotations

from typing import Final

_SHARED: Final = {  # structure → the other events that use it
    "ADT_A01": "A04 A08 A13",
    "ADT_A05": "A14 A28 A31",
    "ADT_A06": "A07",
    "ADT_A09": "A10 A11 A12",
    "ADT_A21": "A22 A23 A25 A26 A27 A29 A32 A33",
    "ADT_A30": "A34 A35 A36 A46 A47 A48 A49",
    "ADT_A39": "A40 A41 A42",
    "ADT_A43": "A44",
    "ADT_A50": "A51",
    "ADT_A52": "A53",
    "ADT_A54": "A55",
    "ADT_A61": "A62",
    "MDM_T01": "T03 T05 T07 T09 T11",
    "MDM_T02": "T04 T06 T08 T10",
    "REF_I12": "I13 I14 I15",
    "RRI_I12": "I13 I14 I15",
    "SIU_S12": "S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24 S26 S27",
    "SRM_S01": "S02 S03 S04 S05 S06 S07 S08 S09 S10 S11",
    "SRR_S01": "S02 S03 S04 S05 S06 S07 S08 S09 S10 S11",
    "PPR_PC1": "PC2 PC3",
    "PGL_PC6": "PC7 PC8",
    "PPP_PCB": "PCC PCD",
    "PEX_P07": "P08",
    "RDE_O11": "O25",
    "ORU_R30": "R31 R32",
    "QBP_Q21": "Q22 Q23 Q24 Q25",
    "RSP_K21": "K22",
    "RSP_K23": "K24",
    "PMU_B01": "B02",
    "PMU_B04": "B05 B06",
    "RQI_I01": "I02 I03 I07",
    "RPA_I08": "I09 I10 I11",
    "RQA_I08": "I09 I10 I11",
    "CRM_C01": "C02 C03 C04 C05 C06 C07 C08",
    "CSU_C09": "C10 C11 C12",
    "MFN_M01": "M14",
    "MFK_M01": "M02 M03 M04 M05 M06 M07 M08 M09 M10 M11 M12 M13 M14 M15",
}
_EXCEPTIONS: Final = {  # events whose structure has another message code or another event's number in it
    ("ADT", "A19"): "ADR_A19",
    ("ORU", "W01"): "ORU_W01",
    ("OSQ", "Q06"): "OSQ_Q06",
}
_BY_EVENT: Final = {
    (structure[:3], trigger): structure for structure, triggers in _SHARED.items() for trigger in triggers.split()
} | _EXCEPTIONS
_WITHOUT_EVENT: Final = frozenset({"ACK", "MCF"})  # one structure for every event


def structure_of(code: str, trigger: str) -> str:
    """MSH-9.3 for MSH-9.1 and MSH-9.2: ('ADT', 'A04') → 'ADT_A01'. An event with a structure of its own, and any local
    event, is named after itself: ('ORU', 'R01') → 'ORU_R01'; without a trigger the code alone: 'ACK'."""
    if not trigger or code in _WITHOUT_EVENT:
        return code
    return _BY_EVENT.get((code, trigger), f"{code}_{trigger}")
