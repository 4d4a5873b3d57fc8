"""Folders of maps → one checked library: each mistake with file, line, cause and the nearest right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import Configuration
from gateway.mapping.library import Library, read
from gateway.mapping.maps import shipped

HEAD = "PID => Patient in ADT_A39\n  "  # what follows stands in line 2


def load(folder: Path, text: str) -> Library:
    (folder / "own.map").write_text(text, encoding="utf-8")
    return read([shipped(), folder])


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(Configuration) as raised:
        load(folder, text)
    return [each.removeprefix(f"{folder.name}/") for each in raised.value.cause.splitlines()]


def test_the_shipped_maps_hold_together() -> None:
    library = read([shipped()])
    assert set(library.structures) >= {"ADT_A01", "ADT_A03", "ADT_A39", "ORM_O01", "OML_O21", "OMI_O23", "ORU_R01"}
    assert set(library.structures) >= {"MDM_T02", "OUL_R22", "OUL_R24"}
    assert library.events["ADT_A08"] == "ADT_A01"
    assert library.events["ADT_A40"] == "ADT_A39"
    assert set(library.exports) >= {"laboratory-results", "imaging-reports", "encounters", "referral-form"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PID-3* -> identifer* : CX", "Patient.identifer: FHIR R4 has no element 'identifer'; did you mean identifier"),
        (
            "PID-5 -> name*.familly : text",
            "Patient.name.familly: FHIR R4 has no element 'familly'; did you mean family?",
        ),
        ("PID-8 -> gender | sexx", "no code table is called sexx; did you mean sex?"),
        ("PID-3* -> identifier* : CXX", "no data type is called CXX; did you mean CX?"),
        ("PID-7 -> birthDate* : date", "Patient.birthDate occurs once in R4; '*' does not fit"),
        (". -> active = tru", "tru is no boolean: true or false"),
        (". -> multipleBirthInteger = two", "two is no integer: a whole number"),
        (". -> birthDate = 2020-02-30", "2020-02-30 is no date"),
        ("PID-8 -> gender", "Patient.gender takes the codes of R4 only; give it a table"),
        ("PID-8 -> gender : text", "Patient.gender takes the codes of R4 only; give it a table"),
        (". -> gender = man", "man is no code of Patient.gender; one of female male other unknown"),
        (". -> maritalStatus = loink#1-8", "no system is called loink; did you mean loinc?"),
        (". -> managingOrganization = @Organisation", "no block makes a Organisation; did you mean Organization?"),
        ("PID-16 -> maritalStatus", "say which data type makes the CodeableConcept at Patient.maritalStatus"),
        ("PID-16 -> maritalStatus : concept", "concept needs its code system"),
        ("PID-16 -> maritalStatus : CWE(sexx)", "no code table is called sexx"),
        ("PID-8 -> maritalStatus | sex", "a code table makes code or string or uri, Patient.maritalStatus is Codeable"),
        ("PID-8 <- maritalStatus | sex", "a code table reads code or string or uri, Patient.maritalStatus is Codeable"),
        ("PID-7 -> birthDate : CX", "CX makes Identifier, Patient.birthDate is date"),
        ("PID-13 -> telecom*{use=house} : XTN", "house is no code of Patient.telecom.use; one of home mobile"),
        (
            "PID-13 -> telecom*{usage=home} : XTN",
            "Patient.telecom.usage: FHIR R4 has no element 'usage'; did you mean use?",
        ),
        ("PIX-8 -> gender | sex", "no message structure has a segment PIX; did you mean PID?"),
        ("PID-8 -> gender | sex ? EVNT = A01", "EVNT is no field and no fact; did you mean EVENT?"),
    ],
)
def test_a_mistake_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    (found,) = mistakes(tmp_path, HEAD + text)
    assert found.startswith(f"own.map:2: {said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PID => Pacient\n  PID-8 -> gender | sex", "own.map:1: R4 has no resource Pacient; did you mean Patient?"),
        (
            "PID => Patient in ADT_A93\n  PID-8 -> gender | sex",
            "own.map:1: no message structure is called ADT_A93; did you",
        ),
        (
            "PID => Patient key @Patent\n  PID-8 -> gender | sex",
            "own.map:1: no block makes a Patent; did you mean Patient?",
        ),
        ("message X_X01 for Patien : MSH PID", "own.map:1: R4 has no resource Patien; did you mean Patient?"),
        (
            "message X_X01 for Patient once Patien : MSH PID",
            "own.map:1: R4 has no resource Patien; did you mean Patient?",
        ),
        ("row => Patient\n  x -> id : text", "own.map:1: rows and nodes belong below an export statement"),
        ("codes a A=b\ncodes a C=d", "own.map:2: a is declared at own.map:1 already"),
        (
            "codes a A=man\n" + HEAD + "PID-8 -> gender | a",
            "own.map:3: table a makes man, which Patient.gender does not",
        ),
        (
            "export e table for Patient\n  columns 姓名\nrows by 姓名 => Encounter\n  姓名 -> id",
            "own.map:1: no block makes the Patient that the export is for",
        ),
        (
            "export e table for Patient\n  columns 号\nrow => Patient\n  号 -> identifier* : paper",
            "own.map:4: paper reads further fields: paper(…)",
        ),
        (
            "export e table for Patient\n  columns 号\nrow => Patient\n  号 -> language : code",
            "own.map:4: code reads through a table",
        ),
        (
            "export e table for Patient\n  columns 号\nrow => Patient\n  号 -> id : cell\n"
            "row => Encounter\n  . -> subject = @Patient.subjekt",
            "own.map:6: Patient has no subjekt",
        ),
        (
            "export e table for Patient\n  columns 姓名\n  order 姓名 病人ID\nrow => Patient\n  病人IDs -> id",
            "own.map:5: the export has no column 病人IDs; did you mean 病人ID?",
        ),
    ],
)
def test_a_mistake_in_a_statement(tmp_path: Path, text: str, said: str) -> None:
    found = [each.replace(f"{tmp_path.name}/", "") for each in mistakes(tmp_path, text)]
    assert len(found) == 1, found
    assert found[0].startswith(said)


def test_all_mistakes_of_all_files_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.map").write_text("codes a A=b A=c\n", encoding="utf-8")
    (tmp_path / "b.map").write_bytes(b"codes b \xb0=c\n")
    found = mistakes(tmp_path, HEAD + "PID-8 -> gender | sexx\n  PID-7 -> birthday\n")
    assert [each.split(":")[0] for each in found] == ["a.map", "b.map", "own.map", "own.map"]
    assert "not UTF-8 at byte 8" in found[1]


def test_no_remedy_is_left_out(tmp_path: Path) -> None:
    with pytest.raises(Configuration) as raised:
        load(tmp_path, HEAD + "PID-8 -> gender | sexx\n")
    assert "maps were not loaded" in raised.value.remedy


def test_a_later_folder_wins_name_by_name(tmp_path: Path) -> None:
    library = load(tmp_path, "codes sex X=male *>unknown\ncodes coding-systems MY=urn:oid:1.2.3\n")
    assert library.codes["sex"].into == {"X": "male", "*": "unknown"}
    assert library.coding_systems["MY"] == "urn:oid:1.2.3"
    assert library.coding_systems["LN"] == "http://loinc.org"  # what the shipped maps say stays
