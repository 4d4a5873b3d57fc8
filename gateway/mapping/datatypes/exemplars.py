"""A filled value of every data type: what the accounting tries, to find which component arrives at which element.

One text for the value and one for each field argument; every component of the HL7 v2.5.1 chapter 2A type (and those
that v2.8 added) is filled, so that a component that a pair learns to carry is found without another word here.
"""

from __future__ import annotations

Texts = tuple[str, ...]

_CWE = "A01^甲名^L^B02^乙名^99ZZZ^1^2^原文^C03^丙名^HL70203^3^1.2.3.4^1.2.3.5^20200101^1.2.3.6^1.2.3.7^20200102"
_EI = "E77^SENDER^1.2.156.77^ISO"
_HD = "SENDER^1.2.156.77^ISO"
_CX = "X300001^5^M11^HOSP&1.2.156.99&ISO^PI^WARD&1.2.156.98&ISO^20200103^20300104^J1&甲地&L^G1&乙局&L^13579^X"
_RANGE = "20260102153000^20260103153000"
_PERSON = "Doe&van&Own&de&Part^Jane^Quinn^Jr^Dr"
_XPN = f"{_PERSON}^MD^D^A^C1&语境&L^20200101&20300102^G^20200103^20300104^PhD^Janie"
_XCN = (
    f"S88^{_PERSON}^MD^SRC^HOSP&1.2.156.99&ISO^D^5^M11^EI^WARD&1.2.156.98&ISO^A^C1&语境&L^20200101&20300102^G"
    "^20200103^20300104^PhD^J1&甲地&L^G1&乙局&L^S1^X"
)
_XAD = (
    "12 High St&High St&12^Flat 3^Town^State^12345^USA^H^Geo^County^T1^A^20200101&20300102^20200103^20300104^E1"
    "^Y^N^M^Someone^Comment^1^P1^AI1&SENDER&1.2.3&ISO"
)
_XTN = "13800138000^PRN^FX^^86^21^5551234^12^any^9^55^5559^20200101^20300101^E1^P1^ID1^1"
_PHONES = (
    _XTN,
    "^NET^Internet^a@example.org^^^^^^^^^20200101^20300101^E1^P1^ID1^1",
    "^WPN^FX^^86^21^5551234^12^any^9^55^^20200101^20300101^E1^P1^ID1^1",
    "^WPN^FX^^^^5551234",
    "^WPN^FX^^^^^^^^^5559",
)
_ADDRESSES = (
    _XAD,
    "High St^^Town^^^^B",
    "High St^^Town^^^^M",
    "High St^^Town^^^^V",
    "县^路1号^县城^省^123456^CHN^H^^区",
    "High St^^Town^^^^^^^^^20200101&20300102",
)
_XON = "Org Name^D^12345^5^M11^HOSP&1.2.156.99&ISO^XX^WARD&1.2.156.98&ISO^A^ORG9"
_PL = "PoC^Room^Bed^FAC&1.2.156.99&ISO^O^N^Building^Floor^Words^EI5&SENDER&1.2.3&ISO^AUTH&1.2.4&ISO"
_NDL = "S88&Doe&Jane&Quinn&Jr&Dr&MD&SRC&HOSP&1.2.156.99&ISO^202601021530^202601031530^PoC^Room^Bed^FAC&1.2&ISO^O^N^B^F"
_ED = "SRC^AP^PDF^Base64^aGVsbG8="
_RP = "http://example.org/doc/1^APP&1.2.3&ISO^AP^PDF"

EXEMPLARS: dict[str, tuple[Texts, ...]] = {
    "text": (("words",),),
    "raw": (("words",),),
    "number": (("5.60",),),
    "integer": (("12",),),
    "positive": (("12",),),
    "yn": (("Y",), ("N",)),
    "dtm": (("20260102153000+0800",),),
    "date": (("20260102",),),
    "timed": (("20260102153000+0800",),),
    "instant": (("20260102153000+0800",),),
    "CX": ((_CX,), ("X300001^^^HOSP^PI",), ("X300001^^^^AN^WARD",)),
    "EI": ((_EI,), ("E77^SENDER",)),
    "EIP": (("P77&SENDER&1.2.156.77&ISO^F88&FILLER&1.2.156.78&ISO",), ("^F88&FILLER&1.2.156.78&ISO",), ("P77^SENDER",)),
    "national": (("110101199003077475",), ("123-45-6789",)),
    "endpoint": ((_HD,), ("SENDER",)),
    "universal": ((_HD,),),
    "message": (("M-1",),),
    "MSG": (("ADT^A01^ADT_A01",),),
    "HD": ((_HD,), ("SENDER",)),
    "uid": (("1.2.840.113619.2.55^APP^TYPE^DICOM",),),
    "organization": ((_HD,), ("SENDER",), ("^1.2.156.77^ISO",)),
    "XPN": ((_XPN,), ("Doe^Jane^^^^^^^^20200101&20300102",), ("张^伟",), ("Doe^Jane",)),
    "called": ((_XPN,),),
    "XAD": tuple((each,) for each in _ADDRESSES),
    "XTN": tuple((each,) for each in _PHONES),
    "XCN": ((_XCN,), ("S88^Doe^^^^^^^^^^^^^^^20200101&20300102",), ("S88^罗^刚",), ("^Doe^Jane",)),
    "insurer": ((_XON,), ("Org Name^D^12345",), ("Org Name",)),
    "XON": ((_XON,), ("Org Name^D^12345",), ("Org Name",)),
    "PL": ((_PL,), ("PoC^Room^Bed^FAC^^^^^^EI5^AUTH&1.2.4&ISO",), ("PoC^Room^Bed",)),
    "NDL": ((_NDL,), ("S88&罗&刚",)),
    "phrase": (("words",), (_CWE,)),
    "CWE": ((_CWE,), ("A01^甲名^L",), ("^甲名",)),
    "SPS": (("A01&甲名&L^ADD^words^B02&乙名&L^M1&侧&L^C03&丙名&L^R1&丁名&L",), ("A01&甲名&L",)),
    "allergy": ((_CWE,), ("A01^甲名^L",)),
    "switch": (
        ("5.60", "NM", "mmol/L"), ("5.60", "NM", "U1^unit^UCUM"), (">^5.60", "SN", "mg/L"),
        ("^1.5^-^2.5", "SN", "mg/L"), ("^1^:^128", "SN", "mg/L"), (">^1^:^128", "SN", ""),
        ("words", "ST", ""), ("words", "TX", ""),
        (_CWE, "CWE", ""), ("20260102153000+0800", "DTM", ""), ("20260102", "DT", ""), ("101500", "TM", ""),
        ("5.60^mg&milligram&UCUM", "CQ", ""), (_ED, "ED", ""), (_RP, "RP", ""), ("1^2^3", "NA", ""),
        (_RANGE, "DR", ""), ("1.5^2.5", "NR", "mg/L"), (_XAD, "XAD", ""), (_CX, "CX", ""), (_EI, "EI", ""),
    ),
    "range": (("3.5-5.5", "mmol/L"), ("<7", "U1^unit^UCUM"), ("words", "")),
    "attachment": ((_ED, "ED", "D01^题名^LN"), (_RP, "RP", "D01^题名^LN")),
    "repetition": (
        ("5.60", "NM", "mmol/L", _CWE, "5.60~7"), (_CWE, "CWE", "", "A01^甲名^L", "A~B"),
        (">^5.60", "SN", "mg/L", "A01^甲名^L", "A~B"), ("^1.5^-^2.5", "SN", "mg/L", "A01^甲名^L", "A~B"),
        ("^1^:^128", "SN", "mg/L", "A01^甲名^L", "A~B"),
        (">^1^:^128", "SN", "", "A01^甲名^L", "A~B"), ("20260102153000+0800", "DTM", "", "A01^甲名^L", "A~B"),
        ("101500", "TM", "", "A01^甲名^L", "A~B"), (_RANGE, "DR", "", "A01^甲名^L", "A~B"),
        ("1.5^2.5", "NR", "mg/L", "A01^甲名^L", "A~B"), ("a^b", "VR", "", "A01^甲名^L", "A~B"),
    ),
    "measured": (("5.60", "mL"), ("5.60", "U1^unit^UCUM")),
    "laboratory": ((_XON, _XAD), ("Org Name^D^12345", _XAD), *((_XON, each) for each in _ADDRESSES)),
    "producer": ((_CWE,), ("A01^甲名^L",)),
    "function": ((_NDL,), ("S88&罗&刚",)),
    "filler": (("P77&SENDER&1.2.156.77&ISO^F88&FILLER&1.2.156.78&ISO",),),
    "plainEI": ((_EI,),),
    "document": ((_EI,), ("E77^SENDER",)),
    "CQ": (("5.60^mg&milligram&UCUM",), ("5.60^mg",)),
    "SN": ((">^5.60",), ("^1.5^-^2.5",), ("^1^:^128",), (">^1^:^128",)),
    "NR": (("1.5^2.5",),),
    "DR": ((_RANGE,),),
    "DLD": (("D1&甲院&L^20260102153000",),),
    "XADC": (("县^路1号^县城^省^123456^CHN^H", "C9"), *((each, "C9") for each in _ADDRESSES)),
    "preferred": (
        *((f"13800138000^{use}^{kind}", way)
          for use, kind, way in (("PRN", "PH", "H"), ("WPN", "FX", "F"), ("WPN", "PH", "O"), ("PRN", "CP", "C"))),
        *((each, "") for each in _PHONES),
    ),
    "XCNname": ((_XCN,), ("^张^伟",)),
    "named": ((_XPN,), ("张^伟",)),
    "fullname": ((_XPN,), ("张伟",)),
    "VN": ((_CX,), ("ZY001^2^^HOSP",), ("ZY001^2^^^VN^WARD",), ("V1^^^HOSP^VN",)),
    "bed": ((_PL,), ("PoC^Room^Bed",)),
    "bedname": ((_PL,), ("PoC^Room^Bed",)),
    "days": (("12",),),
    "narrative": (("words",),),
    "DLN": (("L123^ST&州&L^20300101",),),
    "PLN": (("L123^MD^ST&州&L^20300101",),),
    "OG": (("1^2^3^words",),),
    "PT": (("P^T",),),
    "NA": (("1^2^3",),),
    "TQ": (("5&mg^Q6H&0900^D3^20260102153000^20260103153000^S^PRN^words",),),
    "RPT": (("Q6H^A^1^2^5^h^T^HS^7^d",), ("C1^^^^5^h",), ("Q12H^Every 12 hours",), ("BID",)),
    "RI": (("Q6H^0900,2100",), ("words",)),
    "amount": (
        ("5.60", "mg"), ("5.60", "U1^unit^UCUM"), ("5.60", "U1^unit^L^mg^milligram^UCUM"), ("5.60", "^^^^^^^^mg"),
    ),
    "duration": (("5.60^d",),),
    "offset": (("30^min",),),
    "clock": (("0930",),),
    "wording": ((_CWE,), ("A01^甲名^L",), ("A01",)),
    "remark": (("words",), (_CWE,)),
    "maker": ((_CWE,), ("A01^甲名^L",), ("A01^^L^^^^^^原文",)),
    "addressed": ((_XCN, _XAD), *(("S88^Doe", each) for each in _ADDRESSES)),
    "site": (
        (_XON, "", ""), ("Org Name", _XAD, ""), *(("Org^D^12345", each, "") for each in _ADDRESSES),
        *(("Org^D^12345", "", each) for each in _PHONES),
    ),
    "establishment": (
        (_XON, _CWE, "", ""), *(("Org^D^12345", "", each, "") for each in _ADDRESSES),
        *(("Org^D^12345", "", "", each) for each in _PHONES),
    ),
    "organizationsite": (
        (_XON, "", ""), *(("Org^D^12345", each, "") for each in _ADDRESSES),
        *(("Org^D^12345", "", each) for each in _PHONES),
    ),
    "employer": ((_XON, _CX), ("Org Name", _CX), ("Org Name", "")),
    "device": ((_CWE,), ("A01^甲名^L",), ("^甲名",)),
    "room": ((_CWE,), ("A01^甲名^L",)),
    "organizationkind": ((_XON, _CWE), ("Org Name^D^12345", "A01^甲名^L")),
    "placed": (
        (_PL, ""), (_PL.replace("&SENDER&1.2.3&ISO", ""), ""), ("^^^FAC", _XAD),
        *(("PoC^Room", each) for each in _ADDRESSES),
    ),
    "FC": (("FC1&类别&L^20200101",),),
    "JCC": (("J1&职务&L^C2&类别&L^words",),),
    "MO": (("100.50^CNY",),),
    "CP": (("100.50&CNY^UP^1^2^U1&单位&L^F",),),
    "ED": ((_ED,),),
    "RP": ((_RP,),),
    "QIP": (("@PID.5.1^SMITH",), ("words",)),
    "domain": (("^^^HOSP&1.2.156.99&ISO",), ("^^^HOSP",)),
    "local": (("K77^words",),),
    "placenumber": ((_PL,), ("PoC^Room^Bed",)),
    "unit": (("U1^科室^L",),),
    "definition": (("U1",),),
    "spoken": (("zh^中文^L", "1^读^L~2^写^L", "1^优^L"),),
    "specialty": (("心血管内科",),),
    "email": (("who@example.org",),),
    "active": (("A",), ("I",)),
    "recordevent": (("MAC",), ("MDC",)),
    "RFR": (("3.5&5.5^M^18&60^^^^空腹", "mmol/L"),),
    "place": (("PID^1^3^2^4^1",),),
    "oldplace": (("PID^1^3^101&words&HL70357",),),
    "control": (("M-1",), ("M/1",)),
    "protection": ((_CWE,), ("A01^甲名^L",), ("words",)),
    "CWEcoding": ((_CWE,), ("A01^甲名^L",)),
    "minutes": (("30", "min^minute^ISO"),),
    "span": (("20260102153000+0800", "30", "min^minute^ISO"),),
    "lasting": (("20260102153000+0800", "30"),),
    "after": (("30", "min^minute^ISO", "20260102153000+0800"), ("30", "min^minute^ISO", "^^^20260102153000+0800")),
    "range-of-times": ((_RANGE,),),
    "thing": ((_CWE,), ("^甲名",)),
    "provider": ((_XPN, "L123^MD^ST^20300101", _PL, _XAD, _XTN), ("王^芳", "7", "", "", "")),
    "facility": ((_PL,), ("^^^A1&甲院",)),
    "report": (("SQL202603120001",),),
    "words": (("words",),),
    "referral": ((_EI,), ("ZZ529901202603100001^JCHIS",)),
    "PPN": ((_XCN + "^20260102153000",),),
}  # fmt: skip

ANY: tuple[Texts, ...] = tuple(dict.fromkeys(texts for each in EXEMPLARS.values() for texts in each if len(texts) == 1))


def exemplars(datatype: str, table: dict[str, str] | None) -> tuple[Texts, ...]:
    """What to try a pair with; a coded type is tried with codes of its table as well."""
    if table is not None:
        known = [code for code in table if code != "*"][:4]
        coded = ((f"{code}^甲名^L^^^^^^原文",) for code in known)
        return (*coded, (_CWE.replace("A01", "ZZ9"),), *((f"^^^{code}^乙名^L",) for code in known[:1]))
    if datatype in ("", "code"):
        return EXEMPLARS["text"]
    if datatype == "concept":
        return (*EXEMPLARS["CWE"], ("MR^甲名^HL70203",))
    return (
        EXEMPLARS.get(datatype) or EXEMPLARS["CWE"]
        if datatype in ("coding", "concept")
        else EXEMPLARS.get(datatype, ANY)
    )
