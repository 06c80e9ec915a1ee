"""Ports that are drawn before their servers start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from nexus import ports
from nexus.ports import HOST, PORTS, free_port

DRAWING = "from nexus import ports; ports.PORTS = range({}, {}); print(ports.free_port())"


def test_no_port_is_given_twice_not_even_to_another_process() -> None:
    mine = {free_port() for _ in range(100)}
    one = min(mine)
    drawing = [sys.executable, "-c", DRAWING.format(one, one + 1)]
    other = subprocess.run(drawing, capture_output=True, text=True, check=False)

    assert len(mine) == 100
    assert mine <= set(PORTS)
    assert other.returncode == 1
    assert "no free port" in other.stderr


def test_a_port_on_which_a_server_listens_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    one = free_port()
    with socket.create_server((HOST, one)):
        os.close(ports._given.pop())
        monkeypatch.setattr(ports, "PORTS", range(one, one + 1))
        with pytest.raises(OSError, match="no free port"):
            free_port()


def test_a_server_can_listen_on_it() -> None:
    with socket.create_server((HOST, free_port())):
        pass
