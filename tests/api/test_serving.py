"""The door behind a real socket."""

from __future__ import annotations

import asyncio

import httpx

from tests.api.conftest import Door, patient


async def test_read_search_and_head_over_http(door: Door, address: str) -> None:
    door.store(patient("1"))
    async with httpx.AsyncClient(base_url=address, headers={"authorization": f"Bearer {door.token()}"}) as client:
        assert (await client.get("/health")).status_code == 200
        page = (await client.get("/fhir/Patient?identifier=urn:hutong:id:LAB|1")).json()
        target = page["entry"][0]["fullUrl"]
        assert target.startswith(f"{address}/fhir/Patient/")
        assert (await client.get(target)).json()["name"][0]["text"] == "张三"
        head = await client.head(target)
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", 'W/"1"')
        assert "server" not in head.headers
        post = await client.post("/intake/lab-web", content=b"MSH|")
        assert post.status_code == 202


async def test_a_body_that_is_too_large_is_answered_before_it_is_sent(door: Door, address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        "POST /intake/lab-web HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999\r\n"
        f"authorization: Bearer {door.token()}\r\n\r\n"
    )
    writer.write(head.encode())
    first = await asyncio.wait_for(reader.readline(), 5)
    assert first.split()[1] == b"413"
    writer.close()
    await writer.wait_closed()
    assert not door.frames
