"""A file whose shape nobody has told yet → samples of its tables and trees, for the draft of a map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from gateway.codec import delimited, fhir_xml, fixed_width, hl7v2_xml, ndjson, workbook, xml_tree
from gateway.codec import json as json_tree
from gateway.codec.table import Table
from gateway.errors import Configuration
from gateway.mapping.learning.columns import Sample, of_table, of_tree

_WORKBOOKS = (".xlsx", ".xlsm", ".xls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a file is, and what stands in it. `how`: charset, separator, header row, for people."""

    format: str  # of the channel that will bring such files
    samples: tuple[Sample, ...]
    charset: str = ""
    how: tuple[str, ...] = ()


def look(body: bytes, name: str) -> Looked:
    """By the bytes, then by the name. Raises Configuration for messages and FHIR, Permanent for what cannot be read."""
    start = body[:256].lstrip(b"\xef\xbb\xbf \t\r\n\x0b")
    if start.startswith((b"MSH", b"msh", b"FHS", b"BHS")) or hl7v2_xml.is_xml(body):
        raise Configuration("this is HL7 v2", place=name, remedy="hutong sniff drafts its member.yaml; it needs no map")
    if workbook.is_workbook(body) or PurePath(name).suffix.lower() in _WORKBOOKS:
        return _of_tables("workbook", workbook.decode(body))
    if fhir_xml.is_fhir_xml(body):
        raise Configuration("this is FHIR", place=name, remedy="a channel of format fhir takes it; it needs no map")
    if xml_tree.is_xml(body):
        tree = xml_tree.decode(body)
        return Looked(format="xml", samples=(of_tree(tree.root),), charset=tree.charset, how=tree.notes)
    if ndjson.is_ndjson(body) and b'"resourceType"' not in body[:100_000]:
        lines = ndjson.decode(body)
        table = ndjson.table_of(lines)
        sample = of_table(table.columns, table.rows) if table else of_tree(lines.records)
        return Looked(format="ndjson", samples=(sample,), charset=lines.charset, how=lines.notes)
    if start.startswith((b"{", b"[")):
        if b'"resourceType"' in body[:100_000]:
            raise Configuration("this is FHIR", place=name, remedy="a channel of format fhir takes it; it needs no map")
        tree = json_tree.decode(body)
        return Looked(format="json", samples=(of_tree(tree.root),), charset=tree.charset, how=tree.notes)
    if fixed_width.is_fixed(body):
        return _of_tables("fixed", [fixed_width.decode(body)])
    return _of_tables("delimited", [delimited.decode(body)])


def _of_tables(format: str, tables: list[Table]) -> Looked:
    how = [f"{table.sheet}: {note}" if table.sheet else note for table in tables for note in table.notes]
    first = tables[0]
    if first.delimiter:
        how.insert(0, f"separator {_SHOWN.get(first.delimiter, first.delimiter)}")
    samples = tuple(of_table(table.columns, table.rows, table.sheet) for table in tables)
    return Looked(format=format, samples=samples, charset=first.charset, how=tuple(how))


_SHOWN = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}
