"""What operators' machines ask: alive, ready, how much."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from server import metrics
from server.web.answers import Json
from server.web.edge import Edge


class HealthRoutes:
    """Probes and metrics."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def livez(self, _request: Request) -> Response:
        """`GET /livez`: the event loop turns."""
        return Json({"status": "alive"})

    async def readyz(self, _request: Request) -> Response:
        """`GET /readyz`: 200 when new viewers are welcome, 503 while draining or without the database.

        A lost bus is told but does not make a replica unready: it keeps its viewers and reads the log every second.
        """
        details = await self._edge.health()
        ready = details["database"] == "up" and not self._edge.draining()
        status = "ready" if ready else "draining" if self._edge.draining() else "unready"
        return Json({"status": status, "details": details}, 200 if ready else 503)

    async def metrics(self, _request: Request) -> Response:
        """`GET /metrics`: Prometheus' text format."""
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
