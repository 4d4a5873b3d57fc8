"""The examples that the specification publishes, stored through the web door and read back, in both formats."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest

from gateway.fhir import json
from tests.fhir.test_resources_door import EXAMPLES

JSON, XML = "application/fhir+json", "application/fhir+xml"
SERVER = ("versionId", "lastUpdated")  # of meta: a server's own
REFUSED = {
    ("Questionnaire", "qs1"): 400,  # its items lack the linkId that R4 demands
    ("Subscription", "example"): 422,  # they ended in 2021
    ("Subscription", "example-error"): 422,
}

pytestmark = [
    pytest.mark.samples,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not EXAMPLES.exists(), reason="the R4 examples are not beside the repository"),
]


def as_sent(resource: dict[str, Any]) -> dict[str, Any]:
    """Without what the server says of it."""
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in SERVER}
    return {**{key: value for key, value in resource.items() if key != "meta"}, **({"meta": meta} if meta else {})}


def narrative_apart(value: Any) -> Any:
    """White space between the elements of a narrative is nobody's."""
    if isinstance(value, dict):
        return {key: narrative_apart(each) for key, each in value.items() if key != "div"}
    return [narrative_apart(each) for each in value] if isinstance(value, list) else value


async def test_every_example_is_stored_and_read_back_unchanged(client: httpx.AsyncClient) -> None:
    refused = {}
    with gzip.open(EXAMPLES) as lines:
        for line in lines:
            sent = json.loads(line)
            name = sent["resourceType"], sent["id"]
            url = "/fhir/{}/{}".format(*name)
            answer = await client.put(url, content=line, headers={"content-type": JSON})
            if answer.status_code not in {200, 201}:
                refused[name] = answer.status_code
                continue
            stored = await client.get(url, headers={"accept": JSON})
            assert as_sent(json.loads(stored.content)) == as_sent(sent), name
            written = await client.get(url, headers={"accept": XML})
            answer = await client.put(url, content=written.content, headers={"content-type": XML})
            assert answer.status_code == 200, (name, answer.text)
            stored = await client.get(url, headers={"accept": JSON})
            assert narrative_apart(as_sent(json.loads(stored.content))) == narrative_apart(as_sent(sent)), name
    assert refused == REFUSED
