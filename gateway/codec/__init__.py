"""One file a format, bytes ↔ document, no I/O: charset, hl7v2 (and its parts), delimited, workbook, json, xml_tree."""
