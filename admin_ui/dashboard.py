"""The first page: four numbers, each a link to the list it counts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, func, select
from starlette.requests import Request
from starlette_admin import CustomView
from starlette_admin.widgets import BaseWidget, Breakpoints, GridWidget, StatWidget

from admin_ui.trail import connection_of
from server.domain.drop import DropStatus
from server.domain.views import StreamStatus
from server.store.engine import Database
from server.store.tables import datetime_of, drops, orders, products, streams

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


class Dashboard(CustomView):
    """Products, live streams, orders since midnight UTC, open drops."""

    def __init__(self, database: Database) -> None:
        self._database = database
        super().__init__(
            menu_label="Dashboard", icon="fa-solid fa-gauge", path="/", route_name="index", widget=self._tiles
        )

    async def _tiles(self, request: Request) -> BaseWidget:
        now = await self._database.now_ms(await connection_of(request))
        midnight = now - now % _DAY_MS
        since = datetime_of(midnight).isoformat()
        return GridWidget(
            children=[
                _tile(request, "Products", "product", products),
                _tile(
                    request, "Live streams", "stream", streams, streams.c.status == StreamStatus.LIVE, "status__eq=live"
                ),
                _tile(
                    request,
                    "Orders today (UTC)",
                    "order",
                    orders,
                    # ids rise with time: the primary key leads to today's rows, `placed_at` decides
                    (orders.c.id >= f"{(midnight - _HOUR_MS) << 80:032x}") & (orders.c.placed_at >= midnight),
                    f"placed_at__since={since}",
                ),
                _tile(request, "Open drops", "drop", drops, drops.c.status == DropStatus.OPEN, "status__eq=open"),
            ],
            breakpoints=Breakpoints(default=1, sm=2, xl=4),
        )


def _tile(
    request: Request,
    title: str,
    key: str,
    table: FromClause,
    condition: ColumnElement[bool] | None = None,
    filter_: str | None = None,
) -> StatWidget:
    async def count(request: Request) -> int:
        query = select(func.count()).select_from(table)
        query = query if condition is None else query.where(condition)
        found: Any = (await (await connection_of(request)).execute(query)).scalar_one()
        return int(found)

    link = request.url_for("admin:list", key=key)
    return StatWidget(
        title=title,
        value_callback=count,
        link=str(link.include_query_params(filter=filter_) if filter_ else link),
    )
