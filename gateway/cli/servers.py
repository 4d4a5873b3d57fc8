"""`hutong check --connect`: the SFTP servers that settings name, tried as the gateway would.

Are they who they should be, are we let in, is the folder there? Nothing is taken or written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import typer

from gateway.errors import HutongError
from gateway.model import Channel, Community, Subscription

Trial = Callable[[], Awaitable[str]]


def tried(community: Community, data: Path) -> bool:
    """Whether every line works; one line each says so, or why not."""
    well = True
    for name, trial in _trials(community, data):
        try:
            typer.echo(f"{name}: {asyncio.run(_awaited(trial))}", err=True)
        except HutongError as error:
            well = False
            typer.echo(f"{name}: {error}", err=True)
    return well


async def _awaited(trial: Trial) -> str:
    return await trial()


def _trials(community: Community, data: Path) -> Iterator[tuple[str, Trial]]:
    for member in community.members.values():
        for channel in member.channels:
            if channel.transport == "sftp":
                yield channel.id, lambda channel=channel: _looked(channel, data)  # type: ignore[misc]
        for subscription in member.subscriptions:
            if subscription.transport == "sftp":
                yield subscription.id, lambda subscription=subscription: _entered(subscription, data)  # type: ignore[misc]


async def _looked(channel: Channel, data: Path) -> str:
    from gateway.transport import remote_folder

    place = remote_folder(channel, data)
    try:
        await place.open()
        return f"{place.line.place}: {len(await place.look())} files wait in {channel.folder}"
    finally:
        await place.close()


async def _entered(subscription: Subscription, data: Path) -> str:
    from gateway.transport import remote_line

    line = remote_line(subscription, data)
    try:
        async with line.client(f"the folder {subscription.address} cannot be read") as client:
            await client.listdir(subscription.address)
        return f"{line.place}: the folder {subscription.address} is there"
    finally:
        await line.close()
