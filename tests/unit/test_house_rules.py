"""What must not stand in this code, found by reading all of it. Each exception is listed here, with its reason."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("analytics", "billing", "gateway", "nexus", "tenants")
GENERATED = re.compile(r"migrations/|_pb2(_grpc)?\.pyi?$")
# Run by people, on their own machine, against it.
TOOLS = re.compile(r"nexus/(bench|evaluation|replay)/")


class Place(NamedTuple):
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.text}"


@cache
def modules() -> dict[str, tuple[ast.Module, list[str]]]:
    found = {}
    for path in sorted(path for app in APPS for path in (ROOT / app).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not GENERATED.search(name):
            source = path.read_text()
            found[name] = (ast.parse(source), source.splitlines())
    return found


def places(wrong: Callable[[ast.AST], bool], *, beside: str = "") -> list[Place]:
    """Where a node is wrong; `beside` matches files in which it is not."""
    return [
        Place(name, node.lineno, lines[node.lineno - 1].strip())
        for name, (tree, lines) in modules().items()
        if not (beside and re.search(beside, name))
        for node in ast.walk(tree)
        if wrong(node) and isinstance(node, ast.expr | ast.stmt | ast.keyword)
    ]


def told(found: list[Place]) -> str:
    return "\n".join(map(str, found))


def dotted(node: ast.AST) -> str:
    """`subprocess.run` of such a node; of others, the end that has names."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".lstrip(".")
    return node.id if isinstance(node, ast.Name) else ""


def calls(*names: str) -> Callable[[ast.AST], bool]:
    """Of a function by its last names, such as `yaml.load`."""
    ends = tuple(f".{name}" for name in names)
    return lambda node: isinstance(node, ast.Call) and f".{dotted(node.func)}".endswith(ends)


def imports(*names: str) -> Callable[[ast.AST], bool]:
    def wrong(node: ast.AST) -> bool:
        if isinstance(node, ast.Import):
            return any(alias.name.split(".")[0] in names for alias in node.names)
        return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in names

    return wrong


def passes(name: str, value: object) -> Callable[[ast.AST], bool]:
    """`shell=True`."""
    return lambda node: (
        isinstance(node, ast.keyword)
        and node.arg == name
        and isinstance(node.value, ast.Constant)
        and node.value.value is value
    )


# --- secrets ----------------------------------------------------------------------------------------------------------

_SECRET = re.compile(r"(^|_)(secret|digest|sha256|hmac|signature|password|mac|token|credential|hexdigest)$")


def _secret(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        if dotted(node.func) == "len":
            return False
        return dotted(node.func).endswith(("digest", "hexdigest")) or any(map(_secret, node.args[:1]))
    return bool(_SECRET.search(dotted(node).rpartition(".")[2]))


def _compares_a_secret(node: ast.AST) -> bool:
    if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
        return False
    sides = [node.left, *node.comparators]
    # Whether there is one, or of which kind it is, is no secret.
    return any(map(_secret, sides)) and not any(isinstance(side, ast.Constant) for side in sides)


# What is compared by `==`, and may be: nobody who asks chooses one side and measures.
NO_SECRETS_COMPARED = {
    "gateway/cache/embedding/weights.py": "a model's published checksum",
    "nexus/migration_rules.py": "checksums of our own files",
    "tenants/invitations.py": "one row's digest, before and after its lock",
}


def test_secrets_and_digests_are_compared_in_constant_time() -> None:
    found = [
        place for place in places(_compares_a_secret, beside=TOOLS.pattern) if place.file not in NO_SECRETS_COMPARED
    ]
    assert not found, told(found)


def test_what_guards_is_made_by_a_good_generator() -> None:
    """`random` is for pauses, samples and places of A/B routes."""
    found = [place for place in places(imports("random"), beside=TOOLS.pattern) if place.file not in PLAIN_RANDOM]
    assert not found, told(found)


PLAIN_RANDOM = {
    "analytics/alerts/standing.py": "when a rule is looked at",
    "gateway/cache/reembedding.py": "pauses",
    "gateway/cache/rounds.py": "pauses",
    "gateway/cache/sampling.py": "which hits are judged",
    "gateway/dispatch.py": "pauses",
    "gateway/providers/simulated.py": "pauses",
    "gateway/slots.py": "pauses",
    "nexus/management/commands/simulate_budget.py": "a simulation",
    "nexus/ports.py": "which port of a bench",
    "tenants/cluster.py": "which node is asked",
    "tenants/tracing.py": "names of spans, which open nothing",
}


# --- what runs code, or reads it --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        passes("shell", True), calls("os.system", "os.popen", "pty.spawn"),
        imports("pickle", "marshal", "shelve", "dill"),
        calls("yaml.load", "yaml.unsafe_load", "yaml.full_load", "numpy.load", "joblib.load"),
        calls("tempfile.mktemp"), calls("hashlib.md5", "hashlib.sha1", "hashlib.new"),
        imports("telnetlib", "ftplib", "xmlrpc"), calls("etree.parse", "etree.fromstring", "minidom.parseString"),
    ],
    ids=["shell", "system", "pickle", "yaml", "mktemp", "old digests", "old protocols", "xml"],
)  # fmt: skip
def test_nothing_runs_texts_or_reads_them_as_code(wrong: Callable[[ast.AST], bool]) -> None:
    found = [place for place in places(wrong) if place.file not in REVIEWED]
    assert not found, told(found)


REVIEWED = {"tenants/lane.py": "Redis names its scripts by SHA-1"}


def test_nothing_is_evaluated() -> None:
    def wrong(node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"eval", "exec", "compile"}
        )

    found = places(wrong)
    assert not found, told(found)


# --- the network ------------------------------------------------------------------------------------------------------


def test_certificates_are_checked() -> None:
    def switched_off(node: ast.AST) -> bool:
        if isinstance(node, ast.Attribute) and node.attr in {"CERT_NONE", "_create_unverified_context"}:
            return True
        return any(passes(name, False)(node) for name in ("verify", "ssl", "verify_ssl", "check_hostname"))

    found = places(switched_off)
    assert not found, told(found)


def test_whoever_calls_out_waits_only_so_long() -> None:
    def lacks(*names: str) -> Callable[[ast.AST], bool]:
        return lambda node: isinstance(node, ast.Call) and not {each.arg for each in node.keywords} & {*names, None}

    def wrong(node: ast.AST) -> bool:
        if calls("urlopen", "HTTPConnection", "HTTPSConnection", "create_connection")(node):
            return lacks("timeout")(node) and len(getattr(node, "args", ())) < 3
        if calls("ClientSession")(node):
            return lacks("timeout")(node) or lacks("cookie_jar")(node)
        return calls("Redis.from_url")(node) and lacks("socket_timeout")(node)

    found = places(wrong, beside=TOOLS.pattern)
    assert not found, told(found)


def test_other_clients_of_http_are_not_used() -> None:
    """One way out, which is bounded and checks addresses: aiohttp's, for providers, the judge and webhooks."""
    found = places(imports("requests", "httpx", "httpx2", "urllib3"), beside=TOOLS.pattern)
    assert not found, told(found)
    with_aiohttp = {place.file for place in places(imports("aiohttp"), beside=TOOLS.pattern)}
    assert with_aiohttp == {
        "analytics/alerts/posting.py", "gateway/cache/judging.py", "gateway/passthrough.py",
        "gateway/providers/http.py",
        "gateway/providers/network.py", "gateway/runtime.py", "tenants/network.py",
    }  # fmt: skip


def test_no_call_follows_a_redirect() -> None:
    def follows(node: ast.AST) -> bool:
        verbs = {"get", "post", "put", "patch", "delete", "request"}
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in verbs:
            return False
        of_session = "session" in ast.unparse(node.func.value).lower()
        return of_session and not any(passes("allow_redirects", False)(each) for each in node.keywords)

    files = re.compile(r"^(?!gateway/(passthrough|providers/)|analytics/alerts/)")
    found = places(follows, beside=files.pattern)
    assert not found, told(found)


# --- SQL --------------------------------------------------------------------------------------------------------------

_STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|ALTER|CREATE|DROP|TRUNCATE|SET|COPY)\s")
# Made of pieces, all of them ours: names of columns and types, constants. Values go as parameters.
SQL_OF_PIECES = {
    "analytics/costs.py": 1, "analytics/forecasts.py": 2, "analytics/queries.py": 4, "analytics/savings.py": 6,
    "analytics/walks.py": 1, "billing/bookkeeping.py": 1, "billing/plans.py": 1, "gateway/pages/neighbours.py": 1,
    "gateway/setups.py": 2, "nexus/moving/arrival.py": 2, "nexus/moving/export.py": 1,
}  # fmt: skip


def _sql_of_pieces(node: ast.AST) -> bool:
    if not isinstance(node, ast.JoinedStr) or not any(isinstance(part, ast.FormattedValue) for part in node.values):
        return False
    first = node.values[0]
    return isinstance(first, ast.Constant) and bool(_STATEMENT.match(str(first.value)))


def test_sql_of_pieces_is_known() -> None:
    found = places(_sql_of_pieces, beside=TOOLS.pattern)
    assert Counter(place.file for place in found) == SQL_OF_PIECES, told(found)


def test_no_statement_is_made_of_values() -> None:
    def wrong(node: ast.AST) -> bool:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "execute"):
            return False
        if not node.args:
            return False
        text = node.args[0]
        percent = isinstance(text, ast.BinOp) and isinstance(text.op, ast.Mod)
        formatted = (
            isinstance(text, ast.Call) and dotted(text.func).endswith("format") and "SQL" not in ast.unparse(text)
        )
        return percent or formatted

    of_values = [place for place in places(wrong) if place.file not in SQL_OF_PIECES]
    found = of_values + places(calls("RawSQL", "objects.raw", "objects.extra"))
    assert not found, told(found)


# --- pages ------------------------------------------------------------------------------------------------------------


def test_no_text_is_called_safe() -> None:
    found = places(calls("mark_safe", "SafeString", "SafeText"))
    assert not found, told(found)
    wrong = re.compile(r"\|\s*safe\b|autoescape\s+off|\|\s*safeseq")
    pages = [path for path in (ROOT / "templates").rglob("*.html") if wrong.search(path.read_text())]
    # Mails are text.
    assert pages == []


def test_no_view_lets_other_sites_post_without_saying_why() -> None:
    for name, (_, lines) in modules().items():
        for number, line in enumerate(lines):
            if "@csrf_exempt" in line or "csrf_exempt(" in line:
                assert "#" in line or lines[number - 1].strip().startswith("#"), f"{name}:{number + 1}"


def test_nothing_is_printed_but_to_people_at_a_terminal() -> None:
    at_terminals = (
        r"nexus/(bench|evaluation|replay|moving|management|embedded|up|checks|preflight|manage|advisories|prepare)"
    )
    others = {
        "gateway/cache/embedding/build.py", "gateway/cache/embedding/service.py", "nexus/serve.py", "nexus/probe.py",
        "nexus/startup.py", "nexus/upgrade.py", "nexus/backup.py", "nexus/restore.py", "nexus/migration_rules.py",
    }  # fmt: skip

    def prints(node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "breakpoint"}
        )

    found = [place for place in places(prints, beside=at_terminals) if place.file not in others]
    assert not found, told(found)


def secret_names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FormattedValue):
            yield dotted(node.value).rpartition(".")[2]


def test_no_log_line_is_made_of_a_secret() -> None:
    def wrong(node: ast.AST) -> bool:
        if not (isinstance(node, ast.Call) and dotted(node.func).startswith("logger.")):
            return False
        said = {dotted(arg).rpartition(".")[2] for arg in node.args[1:]} | set(secret_names_in(node))
        return any(re.search(r"(^|_)(secret|password|credential|api_key|authorization)$", name) for name in said)

    found = places(wrong)
    assert not found, told(found)
