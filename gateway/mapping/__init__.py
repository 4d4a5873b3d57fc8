"""The mapping language: one line is one two-way fact; maps are compiled once to plain Python, both ways.

    statements  .map text → its statements         grammar         a statement → syntax tree
    syntax      the nouns of that tree             checks, lint    what is wrong or odd about maps
    library     folders of maps → one checked set  structure       message structures: segments → groups
    paths       FHIR element paths, checked        codetables      which pair translates a line
    emit        blocks → Python source             source_code     its reading half; target_code: its writing half
    line_code   one line's code                    functions       of the blocks, each compiled once
    leads       what a document is about           plans, outline  functions for what is often met
    into_fhir   compiled: document → Bundle        runtime         what compiled blocks call
    patients    a message taken apart by patients  result_groups   which result belongs to which
    memory      what need not be made twice        provenance      where a document comes from
    forms       what persons' fields have in common, without their words
    graph       resources with their references    written_lines   lines read from right to left
    written_blocks  the same of a block            written_code    lines read so → Python source
    written_plans   functions for what is often written    written_shapes   which resources look alike
    written_together  coded elements, remembered    written_fields  where texts go
    written_message  which resource goes where
    exports         tables and trees ↔ Bundles     columns         the names that stand in them
    export_records  a file's sheets and batches
    message_writer  resources → segments           table_writer    resources → rows
    pen             a block's lines → segments     segments        a segment's fields, filled
    wording         values as they were written    origins         the field an element stood in
    sent_fields     fields that are read in parts  kept_head       what the head of a message said
    choice          which message a Bundle becomes    translation     what comes of a document
    context     what one translation knows         datatypes/      pairs: v2 data type ↔ FHIR data type
    envelope    MSH, EVN, whose numbers stand first    adopt       a member's FHIR → a transaction
    maps        the maps of a community: both ways     examples    a mapping lives with its examples
    statement   what the maps map, for tools           arrivals    which component arrives where, by trial
    withheld    what no longer holds is told or left out    shown_first     what a row shows of a list
    lawful      what R4 forbids is left out        same_number   several things under one number
    unit_of_analyte  what G/L means
    accounting/ what became of every value, where each element came from

Pure: no socket, no clock, no database. The laws are held by the tests in tests/mapping.
"""
