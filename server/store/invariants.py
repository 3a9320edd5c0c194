"""What must be true of the rows at every commit, as queries that find what is not; words as in ARCHITECTURE.md.

`dropcast verify` asks each of the whole database at once (`ALL`). The watch asks them of one drop, one page of a drop's
orders, one stream, one variant at a time, so that no query is long.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import TextClause, text


@dataclass(frozen=True, slots=True)
class Invariant:
    """`query` finds violations among what `{of}` leaves in; its columns fill the sentence."""

    sentence: str
    query: str
    of: str

    @property
    def everywhere(self) -> TextClause:
        """The query over the whole database."""
        query = self.query.replace("{of}", "1 = 1")
        return text(query)

    @property
    def bite(self) -> TextClause:
        """The query over what the parameters of `of` say."""
        query = self.query.replace("{of}", self.of).replace(" orders o ", f" orders o {_BY_DROP} ")
        return text(query)


# a hint to MySQL, a comment to SQLite: a page must be read by the key it is a page of
_BY_DROP = "/*! FORCE INDEX (orders_drop_viewer) */"
_DROP = "d.id = :drop"
_STOCK = "s.drop_id = :drop"
_PAGE = "o.drop_id = :drop AND o.viewer_id > :after AND o.viewer_id <= :upto"

OF_DROP = (
    Invariant(
        "drop {0}, variant {1}: put in {2}, but left {3} + held {4} + sold {5} + given back {6} is {7}",
        "SELECT s.drop_id, s.variant_id, put_in, `left`, held, sold, given_back, `left` + held + sold + given_back"
        " FROM drop_stock s WHERE {of} AND (put_in <> `left` + held + sold + given_back"
        " OR `left` < 0 OR held < 0 OR sold < 0 OR given_back < 0)",
        _STOCK,
    ),
    Invariant(
        "drop {0}: status {1} with {2} left",
        "SELECT d.id, d.status, SUM(s.`left`) FROM drops d JOIN drop_stock s ON s.drop_id = d.id WHERE {of}"
        " GROUP BY d.id, d.status HAVING (d.status IN ('sold_out', 'closed') AND SUM(s.`left`) > 0)"
        " OR (d.status = 'open' AND SUM(s.`left`) + SUM(s.held) = 0)",
        _DROP,
    ),
    Invariant(
        "drop {0}: has no stock rows",
        "SELECT d.id FROM drops d WHERE {of} AND NOT EXISTS (SELECT 1 FROM drop_stock s WHERE s.drop_id = d.id)",
        _DROP,
    ),
)

OF_ORDERS = (
    Invariant(
        "order {0}: variant {1} was never put into drop {2}",
        "SELECT o.id, o.variant_id, o.drop_id FROM orders o LEFT JOIN drop_stock s"
        " ON s.drop_id = o.drop_id AND s.variant_id = o.variant_id WHERE {of} AND s.drop_id IS NULL",
        _PAGE,
    ),
    Invariant(
        "order {0}: viewer {1} does not exist",
        "SELECT o.id, o.viewer_id FROM orders o LEFT JOIN users u ON u.id = o.viewer_id WHERE {of} AND u.id IS NULL",
        _PAGE,
    ),
    Invariant(
        "order {0}: does not agree with its drop {1} on stream, product, currency or total",
        "SELECT o.id, d.id FROM orders o JOIN drops d ON d.id = o.drop_id WHERE {of} AND (o.stream_id <> d.stream_id"
        " OR o.product_id <> d.product_id OR o.currency <> d.currency OR o.total <> d.price * o.quantity)",
        _PAGE,
    ),
    Invariant(
        "viewer {0} has {2} of drop {1}, whose limit is {3}",
        "SELECT o.viewer_id, d.id, SUM(o.quantity), MIN(d.viewer_limit) FROM orders o JOIN drops d"
        " ON d.id = o.drop_id WHERE {of} GROUP BY o.viewer_id, d.id HAVING SUM(o.quantity) > MIN(d.viewer_limit)",
        _PAGE,
    ),
)

SOLD = Invariant(
    "drop {0}, variant {1}: sold says {2}, its orders add up to {3}",
    "SELECT s.drop_id, s.variant_id, s.sold, COALESCE(o.units, 0) FROM drop_stock s LEFT JOIN"
    " (SELECT drop_id, variant_id, SUM(quantity) AS units FROM orders GROUP BY drop_id, variant_id) o"
    " ON o.drop_id = s.drop_id AND o.variant_id = s.variant_id WHERE {of} AND s.sold <> COALESCE(o.units, 0)",
    _STOCK,
)
"""Asked of everywhere only: a drop's units are added up page by page, from `UNITS`."""

OF_STREAM = (
    Invariant(
        "stream {0}: seq {1}, but its log holds {2} events up to {3}",
        "SELECT s.slug, s.seq, COUNT(e.seq), COALESCE(MAX(e.seq), 0) FROM streams s LEFT JOIN events e"
        " ON e.stream_id = s.id WHERE {of} GROUP BY s.id, s.slug, s.seq"
        " HAVING COUNT(e.seq) <> s.seq OR COALESCE(MAX(e.seq), 0) <> s.seq",
        "s.id = :stream",
    ),
)

OF_VARIANT = (
    Invariant(
        "variant {0}: received {1}, but {2} on the shelf + {3} in its drops is another number",
        "SELECT id, received, stock, units FROM (SELECT v.id, v.received, v.stock,"
        " (SELECT COALESCE(SUM(s.put_in - s.given_back), 0) FROM drop_stock s WHERE s.variant_id = v.id) AS units"
        " FROM variants v WHERE {of}) t WHERE received <> stock + units",
        "v.id = :variant",
    ),
)

ALL = (*OF_DROP, SOLD, *OF_ORDERS, *OF_VARIANT, *OF_STREAM)

# A drop's orders in pages by viewer, for its key holds them in this order; `:upto` is a page's last viewer.
PAGE_END = text(
    "SELECT viewer_id FROM orders WHERE drop_id = :drop AND viewer_id > :after ORDER BY viewer_id LIMIT 1 OFFSET :page"
)
UNITS = text(
    f"SELECT variant_id, SUM(quantity) AS units FROM orders {_BY_DROP}"  # noqa: S608
    " WHERE drop_id = :drop AND viewer_id > :after AND viewer_id <= :upto GROUP BY variant_id"
)
STOCK = text("SELECT variant_id, sold FROM drop_stock WHERE drop_id = :drop ORDER BY variant_id")

# What moves now, newest first, for the watch's every pass …
HOT_MAX = 1_000
HOT_DROPS = text(f"SELECT id FROM drops WHERE status IN ('open', 'sold_out') ORDER BY id DESC LIMIT {HOT_MAX}")  # noqa: S608
HOT_STREAMS = text(f"SELECT id FROM streams WHERE status = 'live' ORDER BY id DESC LIMIT {HOT_MAX}")  # noqa: S608
HOT_VARIANTS = text(
    "SELECT DISTINCT s.variant_id FROM drops d JOIN drop_stock s ON s.drop_id = d.id"  # noqa: S608
    f" WHERE d.status IN ('open', 'sold_out') ORDER BY s.variant_id DESC LIMIT {HOT_MAX}"
)
# … and the way through all there is, one id after another; also drops that only an order or a stock row still names
NEXT_DROP = text(
    "SELECT MIN(id) FROM (SELECT MIN(id) AS id FROM drops WHERE id > :after"
    " UNION ALL SELECT MIN(drop_id) FROM orders WHERE drop_id > :after"
    " UNION ALL SELECT MIN(drop_id) FROM drop_stock WHERE drop_id > :after) t"
)
NEXT_STREAM = text("SELECT MIN(id) FROM streams WHERE id > :after")
NEXT_VARIANT = text("SELECT MIN(id) FROM variants WHERE id > :after")
