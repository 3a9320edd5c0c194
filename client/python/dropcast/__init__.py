"""A client of a Dropcast shop: watch a stream and miss nothing, order and never buy twice.

    async with dropcast.Shop("https://shop.example") as shop:
        await shop.sign_in("ann@example.com", password)
        async with shop.watch("friday-show") as show:
            async for news in show:
                match news:
                    case dropcast.Event(kind="drop_opened", drop=drop):
                        receipt = await show.order(drop)

Needs nothing of the server; `docs/clients.md` of the project shows more.
"""

from dropcast.comeback import Backoff
from dropcast.errors import (
    BadAnswer,
    DropcastError,
    LinkOver,
    Refused,
    Rejected,
    TimedOut,
    Unanswered,
    Unreachable,
    ViewerChanged,
)
from dropcast.fold import State
from dropcast.frames import Receipt, Viewer
from dropcast.host import Host
from dropcast.news import Event, LinkChange, LinkState, News, Queue, Stock, Viewers, Whole
from dropcast.shapes import (
    Drop,
    DropStatus,
    DropVariant,
    Order,
    Position,
    Product,
    Role,
    StockLine,
    Stream,
    StreamStatus,
    StreamWhole,
    User,
    Variant,
)
from dropcast.shop import Shop
from dropcast.watch import Watch

__all__ = [
    "Backoff",
    "BadAnswer",
    "Drop",
    "DropStatus",
    "DropVariant",
    "DropcastError",
    "Event",
    "Host",
    "LinkChange",
    "LinkOver",
    "LinkState",
    "News",
    "Order",
    "Position",
    "Product",
    "Queue",
    "Receipt",
    "Refused",
    "Rejected",
    "Role",
    "Shop",
    "State",
    "Stock",
    "StockLine",
    "Stream",
    "StreamStatus",
    "StreamWhole",
    "TimedOut",
    "Unanswered",
    "Unreachable",
    "User",
    "Variant",
    "Viewer",
    "ViewerChanged",
    "Viewers",
    "Watch",
    "Whole",
]
