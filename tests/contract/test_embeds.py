"""Which sites may embed a stream, as both databases keep it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from server.domain.errors import Reason, Refused
from server.domain.ids import new_id
from server.domain.user import Role
from server.store.embeds import EmbedOrigins
from tests.contract.shops import Shop

PARTNER, OTHER, THIRD = "https://partner.example", "https://other.example:8443", "http://localhost:3000"


async def audited(shop: Shop) -> list[list[str]]:
    rows = await shop.sql("SELECT detail FROM audit WHERE action = 'stream.embed' ORDER BY id")
    return [json.loads(row.detail)["origins"] for row in rows]


async def test_a_list_is_replaced_and_the_same_again_changes_nothing(shop: Shop) -> None:
    embeds = EmbedOrigins(shop.database)
    assert await embeds.of_streams([shop.stream, "no-such-stream"]) == {}
    await embeds.replace(shop.host, shop.stream, [PARTNER, OTHER])
    await embeds.replace(shop.host, shop.stream, [OTHER, PARTNER])
    assert await embeds.of_streams([shop.stream]) == {shop.stream: {PARTNER, OTHER}}
    await embeds.replace(shop.host, shop.stream, [THIRD])
    assert await embeds.of_streams([shop.stream]) == {shop.stream: {THIRD}}
    await embeds.replace(shop.host, shop.stream, [])
    assert await embeds.of_streams([shop.stream]) == {}
    assert await audited(shop) == [[OTHER, PARTNER], [THIRD], []]


async def test_a_stream_is_made_with_its_list_and_made_again_keeps_the_one_it_has(shop: Shop) -> None:
    embeds = EmbedOrigins(shop.database)
    for origins in ([PARTNER], [OTHER]):
        made = await shop.streams.create(
            shop.host, slug="monday", title="Monday", starts_at=None, video=None, embed_origins=origins
        )
        assert made.slug == "monday"
    assert await embeds.of_streams([shop.stream, "monday"]) == {"monday": {PARTNER}}


async def test_an_origin_that_may_embed_anything_is_known(shop: Shop) -> None:
    embeds = EmbedOrigins(shop.database)
    for slug in ("monday", "tuesday"):
        await shop.streams.create(shop.host, slug=slug, title=slug, starts_at=None, video=None, embed_origins=[PARTNER])
    assert await embeds.embedding([PARTNER, PARTNER.upper(), OTHER]) == {PARTNER: True}


async def test_only_its_host_and_an_admin_change_the_list(shop: Shop) -> None:
    embeds = EmbedOrigins(shop.database)
    rival = replace(shop.host, id=new_id())
    with pytest.raises(Refused) as refused:
        await embeds.replace(rival, shop.stream, [PARTNER])
    assert refused.value.reason is Reason.FORBIDDEN
    with pytest.raises(Refused) as refused:
        await embeds.replace(shop.host, "no-such-stream", [PARTNER])
    assert refused.value.reason is Reason.NOT_FOUND
    assert await embeds.of_streams([shop.stream]) == {}
    admin = replace(rival, role=Role.ADMIN)
    await embeds.replace(admin, shop.stream, [PARTNER])
    assert await embeds.of_streams([shop.stream]) == {shop.stream: {PARTNER}}


async def test_of_lists_at_the_same_time_one_stands_whole(shop: Shop) -> None:
    embeds = EmbedOrigins(shop.database)
    lists = [{f"https://p{n}.example", f"https://q{n}.example", PARTNER} for n in range(6)]
    await asyncio.gather(*(embeds.replace(shop.host, shop.stream, sorted(some)) for some in lists))
    assert (await embeds.of_streams([shop.stream]))[shop.stream] in lists
