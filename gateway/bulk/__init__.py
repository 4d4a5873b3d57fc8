"""Bulk export: the record as files of NDJSON, page by page, beside everything else (FHIR Bulk Data Access 2.0).

The rule of the cut: an export holds exactly what the record held when it was asked for (transactionTime). A resource
that changes while it runs is written in the version of that time, from the history; one that is new since is left out.
"""

from __future__ import annotations

from gateway.bulk.exporter import Exporter
from gateway.bulk.job import Asked, File, Job, Jobs, TooMany

__all__ = ["Asked", "Exporter", "File", "Job", "Jobs", "TooMany"]
