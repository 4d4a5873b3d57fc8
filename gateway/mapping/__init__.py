"""The mapping language: one line is one two-way fact; maps are compiled once to plain Python, both ways.

    grammar     .map text → syntax tree            syntax      the nouns of that tree
    library     folders of maps → one checked set  structure   message structures: segments → groups
    paths       FHIR element paths, checked        conditions  `? OBR-8 and EVENT in (A03)`
    codes       code tables, both ways             datatypes/  pairs: v2 data type ↔ FHIR data type
    into_fhir   compiled: document → Bundle        from_fhir   compiled: resources → document
    context     what one translation knows         lineage     which bytes and which line made an element

Pure: no socket, no clock, no database. The laws are in mappings/README.md and held by property tests.
"""
