"""`python -m nexus.serve gateway|web`: the two kinds of server, each told by SIGTERM to leave in order.

`gateway` is the data plane on uvicorn, in one or several processes; `web` the control plane on daphne. Both serve the
whole application: what is asked of which is a proxy's choice.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys

import django
from django.core.exceptions import ImproperlyConfigured

PORT = 8000


class Options(argparse.Namespace):
    plane: str
    host: str
    port: int
    processes: int
    listener: int | None


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m nexus.serve", description="Serves NexusGateway.")
    parser.add_argument("plane", choices=("gateway", "web"), help="the data plane, or the control plane")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (0.0.0.0)")
    parser.add_argument("--port", type=int, default=PORT, help="port to listen on (8000)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="of the gateway (1)")
    parser.add_argument("--listener", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments, namespace=Options())
    if options.processes < 1:
        parser.error("--processes takes a number of at least 1.")
    if options.plane == "web" and options.processes > 1:
        parser.error("--processes is the gateway's: of web, start several.")
    return options


def serve_gateway(options: Options) -> int:
    from nexus import data_plane, processes

    if options.listener is not None:
        data_plane.run(socket.socket(fileno=options.listener))
        return 0
    with contextlib.closing(data_plane.listen(options.host, options.port)) as sock:
        if options.processes == 1:
            data_plane.run(sock)
            return 0
        with processes.shared_counters():
            return asyncio.run(_in_processes(sock, options.processes))


async def _in_processes(sock: socket.socket, count: int) -> int:
    from nexus.processes import Processes

    return await Processes(sock, count).run()


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexus.settings")
    # Until the server has its own: whoever stops us that early finds nothing to wait for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        django.setup()
        if options.plane == "gateway":
            return serve_gateway(options)
        from nexus import control_plane

        control_plane.run(options.host, options.port)
    except ImproperlyConfigured as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    except OSError as error:
        print(f"{options.host}:{options.port} cannot be listened on: {error.strerror}.", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
