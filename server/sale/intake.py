"""The intake: admits an order or refuses it early. It may refuse, it never grants."""

from __future__ import annotations

import asyncio

from server.domain.drop import Drop
from server.domain.errors import Reason
from server.domain.ids import IdMaker, is_id, new_id
from server.domain.order import OrderRequest, Receipt, Rejected
from server.domain.user import User
from server.protocol.frames import PlaceOrder
from server.sale.committer import Committer
from server.sale.early import EarlyRefusals

_QUANTITY_SANE = 2**31 - 1  # the column's type; the drop's own limit is far below and is checked in the transaction


class Intake:
    """What stands between the socket and the committer."""

    def __init__(self, committer: Committer, early: EarlyRefusals, *, make_id: IdMaker = new_id) -> None:
        self._committer = committer
        self._early = early
        self._make_id = make_id
        self._draining = False

    def drain(self) -> None:
        """From now on every new order is answered `draining`."""
        self._draining = True

    def place(
        self, viewer: User | None, order: PlaceOrder, known: Drop | None, joined_at_s: float
    ) -> asyncio.Future[Receipt]:
        """Takes an order. The future always comes to a receipt; cancelling it does not undo the order.

        `known` is what this replica knows of the drop, `joined_at_s` the monotonic second in which the socket joined.
        """
        reason = self._refusal(viewer, order, known, joined_at_s)
        if reason is not None or viewer is None:
            refused: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
            # where to come back to is said by `drain`
            answer = self._committer.put_off if reason is Reason.DRAINING else Rejected
            refused.set_result(answer(order.ref, reason or Reason.LOGIN_REQUIRED))
            return refused
        return self._committer.submit(
            OrderRequest(self._make_id(), viewer.id, order.ref, order.drop, order.variant, order.quantity)
        )

    def _refusal(self, viewer: User | None, order: PlaceOrder, known: Drop | None, joined_at_s: float) -> Reason | None:
        if viewer is None:
            return Reason.LOGIN_REQUIRED
        if self._draining:
            return Reason.DRAINING
        if not 1 <= order.quantity <= _QUANTITY_SANE:
            return Reason.BAD_QUANTITY
        if not is_id(order.drop):
            return Reason.UNKNOWN_DROP
        if known is None or self._committer.has_under_way(order.drop, viewer.id):
            return None  # what was asked before may be accepted yet, and this may be the same ref
        return self._early.refusal(known, order, viewer.id, joined_at_s)
