"""What hosts call: their streams and the drops on them."""

from __future__ import annotations

from dataclasses import asdict

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.domain.drop import DropPlan
from server.domain.user import Role
from server.web.account import cursor
from server.web.answers import Json, body
from server.web.edge import Edge


class NewStream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/host/streams`."""

    slug: str
    title: str
    starts_at: int | None = None
    video: str | None = None
    embed_origins: tuple[str, ...] = ()


class Embed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/host/streams/{stream}/embed`: the whole list, in place of the one before."""

    origins: tuple[str, ...]


class StockIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units of a variant that go into a drop."""

    variant: str
    quantity: int


class NewDrop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/host/streams/{stream}/drops`. `product` is an id or a SKU."""

    product: str
    price: int
    currency: str
    stock: tuple[StockIn, ...]
    limit: int
    opens_at: int | None = None
    closes_at: int | None = None

    def plan(self) -> DropPlan:
        """The same as the domain has it."""
        stock = tuple((line.variant, line.quantity) for line in self.stock)
        return DropPlan(self.product, self.price, self.currency, stock, self.limit, self.opens_at, self.closes_at)


class Restock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/host/drops/{drop}/restock`. With a `ref`, the same call again puts nothing in twice."""

    variant: str
    quantity: int
    ref: str | None = None


class HostRoutes:
    """The host's commands. Each needs the role host and touches the host's own streams only."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def streams(self, request: Request) -> Response:
        """`GET /api/host/streams?cursor=`: the host's own, newest first, with the origins that may embed each."""
        host = await self._edge.require(request, Role.HOST)
        found, following = await self._edge.streams.of_host(host, after=cursor(request))
        origins = await self._edge.embed_origins.of_streams([stream.slug for stream in found])
        shown = [{**asdict(stream), "embed_origins": sorted(origins.get(stream.slug, ()))} for stream in found]
        return Json({"streams": shown, "next": following})

    async def create_stream(self, request: Request) -> Response:
        """`POST /api/host/streams`."""
        host = await self._edge.require(request, Role.HOST)
        asked = await body(request, NewStream)
        stream = await self._edge.desk.create_stream(
            host,
            asked.slug,
            asked.title,
            starts_at=asked.starts_at,
            video=asked.video,
            embed_origins=asked.embed_origins,
        )
        return Json({"stream": stream}, 201)

    async def embed_stream(self, request: Request) -> Response:
        """`POST /api/host/streams/{stream}/embed`: which other sites may show the stream, in place of those before."""
        host = await self._edge.require(request, Role.HOST)
        asked = await body(request, Embed)
        slug = request.path_params["stream"]
        return Json({"origins": await self._edge.desk.allow_embedding(host, slug, asked.origins)})

    async def start_stream(self, request: Request) -> Response:
        """`POST /api/host/streams/{stream}/start`."""
        host = await self._edge.require(request, Role.HOST)
        return Json({"stream": await self._edge.desk.start_stream(host, request.path_params["stream"])})

    async def end_stream(self, request: Request) -> Response:
        """`POST /api/host/streams/{stream}/end`."""
        host = await self._edge.require(request, Role.HOST)
        return Json({"stream": await self._edge.desk.end_stream(host, request.path_params["stream"])})

    async def create_drop(self, request: Request) -> Response:
        """`POST /api/host/streams/{stream}/drops`."""
        host = await self._edge.require(request, Role.HOST)
        asked = await body(request, NewDrop)
        drop = await self._edge.desk.schedule_drop(host, request.path_params["stream"], asked.plan())
        return Json({"drop": drop}, 201)

    async def open_drop(self, request: Request) -> Response:
        """`POST /api/host/drops/{drop}/open`."""
        host = await self._edge.require(request, Role.HOST)
        return Json({"drop": await self._edge.desk.open_drop(host, request.path_params["drop"])})

    async def close_drop(self, request: Request) -> Response:
        """`POST /api/host/drops/{drop}/close`."""
        host = await self._edge.require(request, Role.HOST)
        return Json({"drop": await self._edge.desk.close_drop(host, request.path_params["drop"])})

    async def restock_drop(self, request: Request) -> Response:
        """`POST /api/host/drops/{drop}/restock`."""
        host = await self._edge.require(request, Role.HOST)
        asked = await body(request, Restock)
        drop = await self._edge.desk.restock_drop(
            host, request.path_params["drop"], asked.variant, asked.quantity, asked.ref
        )
        return Json({"drop": drop})
