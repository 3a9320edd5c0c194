"""The textbook live server: Starlette, broadcaster in memory, one task and one `send_text` per viewer and message.

`python -m loadtest.peers.textbook --port 9000`. A socket at `/ws/{stream}` answers the first frame with a `welcome` and
then forwards the stream's channel; `POST /publish/{stream}` takes a JSON list of texts and publishes each.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from broadcaster import Broadcast
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

WELCOME = '{"type":"welcome","position":{"epoch":"textbook","seq":0}}'
broadcast = Broadcast("memory://")


async def socket(websocket: WebSocket) -> None:
    """One viewer."""
    await websocket.accept()
    await websocket.receive_text()
    async with broadcast.subscribe(websocket.path_params["stream"]) as subscriber:
        assert subscriber is not None
        try:
            await websocket.send_text(WELCOME)
            async for event in subscriber:  # type: ignore[union-attr]  # broadcaster's own annotation is off
                await websocket.send_text(event.message)  # type: ignore[union-attr]
        except (WebSocketDisconnect, RuntimeError):
            return


async def publish(request: Request) -> Response:
    """Publishes a list of texts."""
    for text in await request.json():
        await broadcast.publish(request.path_params["stream"], text)
    return JSONResponse({})


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """Connected while serving."""
    async with broadcast:
        yield


app = Starlette(
    routes=[WebSocketRoute("/ws/{stream}", socket), Route("/publish/{stream}", publish, methods=["POST"])],
    lifespan=lifespan,
)


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--until-input-ends", action="store_true", help="end when standard input closes")
    asked = parser.parse_args()
    if asked.until_input_ends:
        threading.Thread(target=_end_with_input, name="standard input", daemon=True).start()
    uvicorn.run(app, host="127.0.0.1", port=asked.port, ws_per_message_deflate=False, log_level="warning", backlog=4096)
