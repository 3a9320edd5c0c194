"""uvicorn's WebSocket protocol, as we need it: the hook is `uvicorn.Config(ws=…)`."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class LiveWSProtocol(WebSocketsSansIOProtocol):
    """Stock, but for one thing: an upgrade that the app answers with a refusal is not logged as an error."""

    async def send(self, message: Any) -> None:
        """Sends an ASGI message of the app."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True
