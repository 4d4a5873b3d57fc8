"""The only door to fhir.resources (its R4B models), and the public forms that lean on it or on our exact XML.

The models are imported when first used (about half a second). They give a second opinion and are never the judge:
they take invalid codes, and change decimals and times when they write; that is why the XML here is our own.
R4B lacks a few types of R4 (MedicinalProduct…, SubstanceSpecification, the EvidenceSyntheses): no opinion on those.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

from gateway.fhir import json
from gateway.fhir.xml import from_xml, to_xml
from gateway.model import Resource

__all__ = ["from_xml", "second_opinion", "to_xml"]


@functools.cache
def _model(resource_type: str) -> Any:
    """The class of a resource type, or None where R4B has none."""
    try:
        module = importlib.import_module(f"fhir.resources.R4B.{resource_type.lower()}")
    except ImportError:
        return None
    return getattr(module, resource_type, None)


def second_opinion(resource: Resource) -> list[str]:
    """What fhir.resources finds wrong, as 'place: cause' without values; empty when it agrees or has no opinion."""
    model = _model(str(resource.get("resourceType", "")))
    if model is None:
        return []
    import pydantic

    try:
        model.model_validate_json(json.dumps(resource))
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return [f"{'.'.join(str(part) for part in each['loc'])}: {each['type']}" for each in found]
    return []
