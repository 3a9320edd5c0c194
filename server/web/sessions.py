"""One's own sessions: where am I signed in, and out with the ones that should not be."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from server.domain.errors import Reason, Refused
from server.domain.ids import is_id
from server.domain.session import Caller, Session
from server.web.answers import Json
from server.web.edge import Edge
from server.web.security import delete_session_cookie


class SessionRoutes:
    """The signed-in person's own sessions."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def listed(self, request: Request) -> Response:
        """`GET /api/sessions`: those that hold, the one used last first; a hundred at the most, so there is no next."""
        caller = await self._edge.require_caller(request)
        found = await self._edge.door.sessions.of_user(caller.user.id)
        return Json({"sessions": [_shown(session, caller) for session in found], "next": None})

    async def end(self, request: Request) -> Response:
        """`POST /api/sessions/{session}/end`: safe to repeat."""
        caller, asked = await self._edge.require_caller(request), request.path_params["session"]
        if not is_id(asked) or not await self._edge.door.sessions.end(caller.user.id, only=asked):
            raise Refused(Reason.NOT_FOUND, "you have no such session")
        answer = Json({})
        if asked == caller.session:
            delete_session_cookie(answer, request)
        return answer

    async def end_others(self, request: Request) -> Response:
        """`POST /api/sessions/end-others`: signs out everywhere else."""
        caller = await self._edge.require_caller(request)
        await self._edge.door.end_sessions(caller.user.id, except_session=caller.session)
        return Json({})

    async def end_all(self, request: Request) -> Response:
        """`POST /api/sessions/end-all`: signs out everywhere."""
        caller = await self._edge.require_caller(request)
        await self._edge.door.end_sessions(caller.user.id)
        answer = Json({})
        delete_session_cookie(answer, request)
        return answer


def _shown(session: Session, caller: Caller) -> dict[str, Any]:
    return {
        "id": session.id,
        "device": session.device,
        "created_at": session.created_at,
        "seen_at": session.seen_at,
        "current": session.id == caller.session,
    }
