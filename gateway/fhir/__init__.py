"""FHIR R4 (4.0.1) in plain dictionaries: definitions, JSON, references, bundles, validity and search parameters."""
