"""`python -m nexus.probe worker|beat|embedder|HTTP-ADDRESS`: whether it lives, as an exit status, for health checks.

Standard library only, but for the embedder's protocol: a probe that loads Django costs more than what it looks at.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.request

WITHIN_S = 60.0
TIMEOUT_S = 3.0


def sign_of_life(file: str, within_s: float = WITHIN_S) -> str:
    """What is wrong; empty when a sign was given in time."""
    if not file:
        return "NEXUS_SIGN_OF_LIFE is not set: name the file that the worker touches."
    try:
        age_s = time.time() - os.stat(file).st_mtime
    except OSError:
        return f"{file} is not there: no sign was given yet."
    return f"The last sign was given {age_s:.0f} s ago." if age_s > within_s else ""


def http(address: str) -> str:
    try:
        # Our own address.
        with urllib.request.urlopen(address, timeout=TIMEOUT_S):  # nosec B310
            return ""
    except OSError as error:
        return f"{address}: {error}"


def embedder(address: str) -> str:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    try:
        with grpc.insecure_channel(address) as channel:
            asked = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
    except grpc.RpcError as error:
        return f"{address}: {error.code()}"
    return "" if asked.status == health_pb2.HealthCheckResponse.SERVING else f"{address} does not serve."


def main(arguments: list[str]) -> int:
    what = arguments[0] if arguments else ""
    if what in {"worker", "beat"}:
        wrong = sign_of_life(os.environ.get("NEXUS_SIGN_OF_LIFE", ""))
    elif what == "embedder":
        wrong = embedder(arguments[1] if len(arguments) > 1 else "127.0.0.1:50051")
    elif what.startswith("http://"):
        wrong = http(what)
    else:
        wrong = "Say what to look at: worker, beat, embedder, or http://…."
    if wrong:
        print(wrong, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
