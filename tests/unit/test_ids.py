"""gateway.admission.new_id: drawn many at a time, and no two alike."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

from gateway.admission import new_id

COUNT = 5_000


def test_no_two_ids_are_alike_whichever_thread_asks() -> None:
    with ThreadPoolExecutor(8) as threads:
        drawn = list(threads.map(lambda _: new_id(), range(COUNT)))
    assert len(set(drawn)) == COUNT
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in drawn)


def test_a_forked_process_draws_others() -> None:
    new_id()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, " ".join(new_id() for _ in range(300)).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as told:
        theirs = set(told.read().split())
    assert len(theirs) == 300
    assert theirs.isdisjoint({new_id() for _ in range(300)})
