"""The web door: FHIR REST over the record, intake of messages, operations; every request but /health with a token."""
