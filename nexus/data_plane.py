"""The data plane's server: uvicorn, with a way out that loses no request.

SIGTERM: `/readyz` says 503 and answers say `Connection: close`, for NEXUS_DRAIN_DELAY_S; then nobody new is let in,
WebSockets are closed with 1012, streams end, buffers are flushed, and it exits with 0. A second SIGTERM cuts all waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Generator

import uvicorn
from django.conf import settings

from gateway import departure

APPLICATION, HTTP = "nexus.asgi:application", "nexus.bounded_http:BoundedHttp"
# Longer than proxies keep theirs (deploy/nginx: 4 s): the one that closes must be the one that asks.
KEEP_ALIVE_S = 75
BACKLOG = 2048
# For requests of connections that were let in at the last moment.
LAST_WORDS_S = 0.5
_CLOSE = (b"connection", b"close")


class DrainingServer(uvicorn.Server):
    _delay: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """uvicorn's own would be raised again at the end, and a stop in order end as a death by SIGTERM."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self.leave)
        yield

    def leave(self) -> None:
        """At the second call nothing is waited for."""
        if departure.is_leaving():
            self._hurry()
            return
        departure.leave()
        # Proxies drop their connections one by one, each with an answer on it.
        self.config.encoded_headers = [*self.config.encoded_headers, _CLOSE]
        self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]
        self._delay = asyncio.get_running_loop().call_later(settings.DRAIN_DELAY_S, self._stop)

    def _stop(self) -> None:
        self.should_exit = True

    def _hurry(self) -> None:
        if self._delay is not None:
            self._delay.cancel()
        self._stop()
        departure.hurry()
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._shut_the_door(sockets or [])
        await super().shutdown(sockets)

    async def _shut_the_door(self, sockets: list[socket.socket]) -> None:
        """Whoever is connected already is served: the kernel would reset those that nobody has accepted yet."""
        waiting = [connection for sock in sockets for connection in _accept_all(sock)]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            with contextlib.suppress(OSError):
                await loop.connect_accepted_socket(self._protocol, connection)
        await asyncio.sleep(min(LAST_WORDS_S, settings.DRAIN_DELAY_S))

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _accept_all(sock: socket.socket) -> list[socket.socket]:
    accepted: list[socket.socket] = []
    with contextlib.suppress(OSError):
        while True:
            connection, _ = sock.accept()
            connection.setblocking(False)
            accepted.append(connection)
    return accepted


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=False)
    sock.setblocking(False)
    return sock


def run(sock: socket.socket) -> None:
    """Serves until it is told to leave. Raises SystemExit where the application does not start."""
    config = uvicorn.Config(
        APPLICATION,
        loop="uvloop",
        http=HTTP,
        ws="websockets-sansio",
        ws_max_size=settings.MAX_BODY_BYTES + 1024,
        lifespan="on",
        # What is logged, and how, is said in settings.
        log_config=None,
        access_log=False,
        # NEXUS_TRUST_PROXY says whom to believe (tenants.addresses).
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(settings.DRAIN_TIMEOUT_S)),
    )
    DrainingServer(config).run(sockets=[sock])
