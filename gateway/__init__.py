"""Hutong 互通: the interoperability gateway for hospital communities. The map of the house:

    bytes → frame → entry ─ACK→ document → bundle → identity → record
          → changes → deliveries → document → bytes → receipt

    __main__ cli/       the `hutong` command
    demo/               a small community that plays a day over real sockets and files
    app/                composition root: two halves, front and back; the only room that knows all others
    stateless streaming `hutong translate`: the same translation without a store; files too large to be held
    config/             community.yaml + members → checked settings; every mistake with file and line
    api/                the web door: FHIR, intake, SOAP, operations, security
    inbound             bytes → FHIR: receive (write down, then acknowledge), process       ← read first
    polling/            views of a member's database → entries, with the position in one transaction
    outbound            FHIR → bytes: write for the receiver, send, keep the receipt         ← read second
    subscriptions/      what FHIR clients asked to hear: topics, criteria → the same outbox, endpoints that are checked
    formats/            bytes → document → Bundle, one row a format
    bulk/               bulk export: the record as NDJSON files, page by page
    worker parts        the one loop that drains a queue; large files in it, batch by batch
    patience            the table error → next state, and when
    transport/          one file a wire: mllp http files sftp database memory
    journal/            what came in, what is owed, what was answered, what died; replay
    mapping/            the mapping language: grammar, compilers both ways, data types; its code tables as R4 resources
    announcing          what members are told of merges, and by which number they know somebody
    people              what follows from who somebody is: joined, asked, taken apart again
    identity/           who is who: match (by numbers), score (by all else), index, review
    keeping/            backup and restore, retention, legal hold
    store/              the shared record: transact read search history
    routing/            who asked for it
    terminology/        code systems, value sets, concept maps: what is in them, what one makes of a code
    codec/              one file a format, no I/O: charset hl7v2 delimited workbook json xml_tree
    fhir/               R4 in plain dictionaries: definitions validate searchparameters bundle reference
    db/                 where rows live: engine (Protocol) sqlite postgresql migrations/
    telemetry           counters and log lines; never a body, never a name
    model errors        the nouns; what happens next

Imports point downwards only (import-linter in pyproject.toml). Maps are data: `mappings/`.
"""
