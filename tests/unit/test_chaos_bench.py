"""The bench that breaks things: its proxy, what it calls lost, doubled or foreign, and its figures of long runs."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from analytics.books import Sums
from nexus.bench import chaos_checks, chaos_parts, chaos_report, openloop, proxy
from nexus.bench.chaos import Cell
from nexus.bench.chaos_checks import BUDGET, QUOTA, RATE
from nexus.bench.crowd import Workspace
from nexus.bench.marked import about, mark_of
from nexus.bench.openloop import BROKE_OFF, NO_CONNECTION, Seen
from nexus.bench.proxy import CUT, FREEZE, PASS, SLOW, Route
from nexus.bench.spread import Latencies, quarters, slope
from nexus.bench.tally import Row, Told
from nexus.bench.traffic import DIALECTS, Asked, Traffic
from nexus.ports import HOST, free_port

OURS, THEIRS = mark_of("sk-ours"), mark_of("sk-theirs")
PLAIN = Workspace("plain", 1, ("nk-1",), OURS)


def asked(kind: str = "new", workspace: Workspace = PLAIN, text: str = "Why?") -> Asked:
    return Asked(kind, workspace, uuid.uuid4().hex, b"", frozenset({about(text).encode()}))


def answered(one: Asked, *, outcome: str = "MISS", sent: float = 0.0, ended: float = 1.0, cost: str = "") -> Seen:
    return Seen(one, 1, sent, sent, ended, ended, 200, "", outcome, cost)


def failed(one: Asked, *, ended: float = 1.0, status: int = 0, fault: str = BROKE_OFF) -> Seen:
    return Seen(one, 1, 0.0, 0.0, ended, ended, status, fault)


def row(workspace: str = "plain", *, answers: int = 0, records: int = 0, cost: str = "0", held: int = 0) -> Row:
    sums = Sums(records, 0, Decimal(cost))
    return Row(workspace, Told(answers), records, sums, sums, sums, held)


def found(
    seen: list[Seen], records: dict[str, int], rows: list[Row] | None = None, cost: str = "0"
) -> chaos_checks.Found:
    """As of one workspace, whose requests have so many records of answers."""
    counted = Counter({(request_id, True): count for request_id, count in records.items()})
    costs = {request_id: Decimal(cost) for request_id in records}
    return chaos_checks.check(seen, {PLAIN.id: counted}, {PLAIN.id: costs}, rows or [row()])


# --- what must hold -------------------------------------------------------------------------------------------------


def test_an_answer_without_a_record_is_lost() -> None:
    one, other = asked(), asked()
    result = found([answered(one), answered(other)], {one.id: 1})
    assert [case for case in result.lost if other.id in case] == result.lost != []
    assert result.broken(without_redis=True)


def test_a_second_record_of_one_request_is_one_too_many_however_it_ended() -> None:
    one, other = asked(), asked()
    result = found([answered(one), failed(other)], {one.id: 2, other.id: 2})
    assert len(result.doubled) == 2


def test_who_did_not_hear_the_answer_may_have_a_record_or_none() -> None:
    one, other = asked(), asked()
    result = found([failed(one), failed(other)], {one.id: 1})
    assert not result.broken(without_redis=False)


def test_what_was_told_to_cost_is_what_is_recorded() -> None:
    one = asked()
    assert not found([answered(one, cost="0.0000300")], {one.id: 1}, cost="0.00003").costs
    assert found([answered(one, cost="0.0000300")], {one.id: 1}, cost="0.00004").costs


def test_books_that_differ_by_one_request_are_told() -> None:
    off = dataclasses.replace(row(records=3), counters=Sums(2, 0, Decimal(0)))
    assert found([], {}, [off]).books


def test_pages_need_no_record() -> None:
    page = Asked(chaos_checks.PAGE, Workspace("pages", 0, (), ""), "", b"", frozenset())
    assert not found([answered(page, outcome="")], {}).lost


def test_each_kind_of_limit_says_by_how_much_it_was_exceeded() -> None:
    limited = {name: Workspace(name, at, (), OURS, limit=2) for at, name in enumerate((QUOTA, BUDGET, RATE))}
    seen = [answered(asked(name, of), sent=at, ended=at + 1.0) for name, of in limited.items() for at in range(3)]
    rows = [row(QUOTA), row(BUDGET, cost="2.5"), row(RATE)]
    assert chaos_checks.over_limits(seen, rows) == {QUOTA: 1, BUDGET: 0.5, RATE: 1}


def test_limits_that_each_process_keeps_alone_may_be_exceeded_while_redis_is_away() -> None:
    over = dataclasses.replace(found([], {}), over={QUOTA: 3})
    assert over.broken(without_redis=False)
    assert not over.broken(without_redis=True)


def test_a_minute_counts_what_was_surely_let_in_within_it() -> None:
    of = [(0.0, 1.0), (30.0, 31.0), (59.0, 61.0), (59.5, 59.9)]
    assert chaos_checks.most_in_a_minute([answered(asked(), sent=begin, ended=end) for begin, end in of]) == 3


def test_recovery_is_the_beginning_of_an_unbroken_run_of_the_slowest_kind() -> None:
    quick = [answered(asked("new"), ended=10 + at) for at in range(3)]
    slow = [
        failed(asked("repeat"), ended=11),
        *(answered(asked("repeat"), outcome="HIT-EXACT", ended=12 + at) for at in range(3)),
    ]
    assert chaos_checks.recovered_at([*quick, *slow], ("new", "repeat"), since=5, streak=3) == 12
    assert chaos_checks.recovered_at([*quick, *slow], ("new", "repeat"), since=5, streak=4) is None


def test_an_answer_from_another_tier_than_usual_is_no_recovery() -> None:
    seen = [answered(asked("repeat"), outcome="MISS", ended=10 + at) for at in range(3)]
    assert chaos_checks.recovered_at(seen, ("repeat",), since=5, streak=3) is None


def test_a_cell_that_never_was_normal_again_is_broken() -> None:
    fine = found([], {})
    cell = Cell("gateway", chaos_parts.KILLED, fine, 0, {}, 0.0, recovery_s=None, booked_s=1.0, mended=[])
    assert cell.broken
    assert "never" in chaos_report.line(cell)
    assert chaos_report.figures([cell])[0]["broken"]


# --- whose answer it is ---------------------------------------------------------------------------------------------


def judged(one: Asked, body: bytes, head: bytes = b"HTTP/1.1 200 OK\r\nx-cache: MISS\r\n\r\n") -> Seen:
    seen = Seen(one, 1, 0.0)
    openloop.judge(seen, head, body)
    return seen


def test_an_answer_with_another_workspaces_mark_is_foreign() -> None:
    one = asked()
    said = about("Why?")
    assert judged(one, f"mark-{OURS} about-{said}".encode()).foreign == ""
    assert judged(one, f"mark-{THEIRS} about-{said}".encode()).foreign
    assert judged(one, f"mark-{OURS} about-{about('When?')}".encode()).foreign


def test_a_stream_without_its_end_is_no_answer() -> None:
    one = asked("stream, new")
    text = f"data: mark-{OURS} about-{about('Why?')}\n\n".encode()
    assert judged(one, text).fault == BROKE_OFF
    assert judged(one, text + b"data: [DONE]\n\n").answered


@pytest.mark.parametrize("kind", ["repeat", "paraphrase", "new", "new, exact tier", "stream, new", "stream, repeat"])
def test_traffic_knows_whose_its_answers_must_be(kind: str) -> None:
    drawn = Traffic([PLAIN], seed=1).draw(kind=kind)
    assert (drawn.kind, drawn.workspace) == (kind, PLAIN)
    assert drawn.abouts
    assert drawn.id.encode() in drawn.wire
    assert drawn.streams == (b'"stream":true' in drawn.wire)


def test_what_may_be_repeated_is_asked_beforehand_in_every_shape() -> None:
    traffic = Traffic([PLAIN], seed=1, repeated=3)
    assert len(traffic.known()) == 3 * len(DIALECTS) * 2


# --- the proxy ------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def routed() -> AsyncIterator[tuple[Route, int, asyncio.Queue[bytes]]]:
    """A route to a server that echoes, the route's port, and what the server has read."""
    read: asyncio.Queue[bytes] = asyncio.Queue()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while block := await reader.read(1024):
                read.put_nowait(block)
                writer.write(block)
        writer.close()

    async with await asyncio.start_server(echo, HOST, 0) as server:
        port = free_port()
        route = Route(port, server.sockets[0].getsockname()[1])
        await route.go(PASS)
        try:
            yield route, port, read
        finally:
            await route.go(CUT)


async def test_a_proxy_lets_bytes_and_ends_pass() -> None:
    async with routed() as (_, port, _read):
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == b"hello"
        writer.close()


async def test_a_frozen_proxy_holds_back_what_passes_later() -> None:
    async with routed() as (route, port, read):
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        read.get_nowait()
        await route.go(FREEZE)
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read.get(), 0.2)
        await route.go(PASS)
        assert await reader.readexactly(3) == b"two"
        writer.close()


async def test_a_cut_resets_what_is_open_and_refuses_what_is_new() -> None:
    async with routed() as (route, port, _read):
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        await route.go(CUT)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)
        await route.go(PASS)
        reader, again = await asyncio.open_connection(HOST, port)
        again.write(b"two")
        assert await reader.readexactly(3) == b"two"
        again.close()
        writer.close()


async def test_a_slow_proxy_changes_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "SLOW_DELAY_S", 0.0)
    async with routed() as (route, port, _read):
        await route.go(SLOW)
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()


async def test_who_asks_while_the_part_is_gone_is_reset() -> None:
    port = free_port()
    route = Route(port, free_port())
    await route.go(PASS)
    reader, writer = await asyncio.open_connection(HOST, port)
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    await route.go(CUT)


async def test_a_way_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="none of"):
        await Route(free_port(), 1).go("sideways")


async def test_nobody_at_the_other_end_is_told_apart_from_a_broken_answer() -> None:
    seen = await openloop.Clients([free_port()]).ask(asked(), 0.0)
    assert (seen.status, seen.fault) == (0, NO_CONNECTION)


# --- figures of long runs -------------------------------------------------------------------------------------------


def test_percentiles_are_right_to_two_percent() -> None:
    latencies = Latencies()
    for ms in range(1, 1001):
        latencies.add(ms)
    for share in (50, 95, 99):
        assert latencies.percentile(share) == pytest.approx(share * 10, rel=0.02)
    assert Latencies().percentile(99) == 0


def test_latencies_of_minutes_add_up() -> None:
    quick, slow = Latencies(), Latencies()
    quick.add(1.0)
    slow.add(100.0)
    whole = Latencies.merged([quick, slow])
    assert (whole.count, whole.longest_ms) == (2, 100.0)
    assert whole.percentile(99) == pytest.approx(100, rel=0.02)


def test_what_grows_steadily_has_its_slope_and_what_only_jitters_has_none() -> None:
    assert slope([1.0, 3.0, 5.0, 7.0]) == pytest.approx(2.0)
    assert slope([4.0, 4.0, 4.0]) == slope([1.0]) == 0.0


@pytest.mark.parametrize(("minutes", "first", "last"), [(1, [0], [0]), (4, [0], [3]), (8, [0, 1], [6, 7])])
def test_the_first_and_the_last_quarter_have_at_least_a_minute(minutes: int, first: list[int], last: list[int]) -> None:
    begin, end = quarters(minutes)
    assert (list(range(minutes))[begin], list(range(minutes))[end]) == (first, last)
