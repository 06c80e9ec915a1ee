"""The workspace that `bin/bench --pages` looks at: large in all that its pages show, and others beside it."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import orjson
from django.conf import settings
from django.db.models import Model
from django.test import Client
from pgvector import HalfVector

from analytics import booking, shares, spans
from analytics.alerts import changes
from analytics.alerts.models import AlertEvent, Delivery, WebhookEndpoint
from analytics.events import HIT_SEMANTIC
from analytics.models import SavingsShare, UsageRecord
from billing import closing, subscriptions
from billing.models import Subscription
from billing.periods import period_at
from gateway.cache.embedding.minilm import MiniLM
from gateway.models import CacheEntry, CacheVector, Provider, Route, Target, Verdict
from nexus.bench import pages_traffic, questions
from nexus.bench.corpus import Corpus
from nexus.bench.pages_traffic import DAYS, MODELS, Source
from tenants import apikeys, registration
from tenants.db import schema_of
from tenants.models import ApiKey, AuditEvent, Invitation, Membership, Role, Tenant, User

# Of entries: who asks the same model in the same way is compared.
SCOPES = 24
# Of crowds, in nexus.bench.corpus, there are fifty.
FEWEST_TEXTS = 60
BATCH = 2_000
_ACTIONS = ("key.issued", "key.changed", "member.changed", "cache_settings.changed", "route.changed", "budget.changed")


class Sizes(NamedTuple):
    """How much there is. `some` are members, invitations, providers, routes, links and what waits for people."""

    records: int
    entries: int = 20_000
    keys: int = 20
    audit_rows: int = 50_000
    deliveries: int = 10_000
    verdicts: int = 2_000
    some: int = 40
    others: int = 100


class Filled(NamedTuple):
    """Cookies of its owner and of an operator, and what of it has a page of its own, by the names in URLs."""

    slug: str
    cookie: str
    operator_cookie: str
    named: dict[str, str]


def make(mark: str, sizes: Sizes) -> tuple[Tenant, User, Source]:
    """A workspace on Scale, as old as its traffic, with its keys and the ids of the entries to come. `mark` is in all
    names that must be there once.
    """
    made = registration.register(f"{mark}@example.com")
    tenant, now = made.tenant, dt.datetime.now(dt.UTC)
    subscriptions.change_plan(tenant, "scale", overrides={"requests_per_minute": None})
    anchor = (now - dt.timedelta(days=DAYS + 10)).replace(microsecond=0)
    Subscription.objects.filter(tenant=tenant).update(anchor_at=anchor)
    Tenant.objects.filter(pk=tenant.pk).update(created_at=anchor)
    keys = [made.issued.key, *(apikeys.issue(tenant, name=f"app {number}").key for number in range(1, sizes.keys))]
    entries = [str(uuid.uuid4()) for _ in range(sizes.entries)]
    periods = {period_at(anchor, now - dt.timedelta(days=day)).start for day in range(DAYS + 2)}
    begins = sorted(int(start.timestamp()) for start in periods)
    return tenant, made.user, Source(tenant.pk, [key.pk for key in keys], entries, begins)


def fill_cache(tenant: Tenant, model: MiniLM, entry_ids: Sequence[str]) -> None:
    """Vectors are mixed out of those of a thousand questions at most."""
    rng = np.random.default_rng(1)
    texts = questions.stored()[: max(FEWEST_TEXTS, len(entry_ids))]
    vectors = Corpus.of(model.encode(texts), rng).stored(len(entry_ids), rng)
    now = dt.datetime.now(dt.UTC)
    with schema_of(tenant):
        entries = (_entry(number, entry_id, texts, model.name, now) for number, entry_id in enumerate(entry_ids))
        _insert(CacheEntry, entries)
        _insert(
            CacheVector,
            (
                CacheVector(
                    entry_id=entry_id,
                    scope=_scope(number),
                    embedder=model.name,
                    dimensions=len(vectors[number]),
                    embedding=HalfVector(vectors[number]),
                    created_at=now - dt.timedelta(minutes=number),
                    expires_at=now + dt.timedelta(days=7),
                    stale_until=now + dt.timedelta(days=7),
                )
                for number, entry_id in enumerate(entry_ids)
            ),
        )


def _scope(number: int) -> str:
    """Half of all are in one."""
    return f"{0 if number % 2 else number % SCOPES:032x}"


def _entry(number: int, entry_id: str, texts: Sequence[str], embedder: str, now: dt.datetime) -> CacheEntry:
    model = MODELS[number % len(MODELS)]
    prompt = f"{texts[number % len(texts)]} This is about order {number}."
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Like this. " * 60}}]}
    return CacheEntry(
        id=entry_id,
        scope=_scope(number),
        fingerprint=f"{number:032x}",
        namespace="" if number % 3 else f"shop-{number % 9}",
        tags=[] if number % 4 else ["faq"],
        model=model.name,
        prompt=prompt,
        embedder=embedder,
        answer=orjson.dumps(answer),
        meta={"provider": model.provider, "simulated": False, "prompt_tokens": 20, "completion_tokens": 180},
        pinned=number % 50 == 0,
        created_at=now - dt.timedelta(minutes=number),
        expires_at=now + dt.timedelta(days=7),
        stale_until=now + dt.timedelta(days=7),
    )


def book(tenant: Tenant, source: Source, records: int) -> None:
    """As the worker does; then closes the periods that are over."""
    now = dt.datetime.now(dt.UTC)
    for events in pages_traffic.batches(source, records, now.timestamp()):
        booking.book(tenant, events)
    while due := closing.due(now, after=dt.timedelta(hours=1)):
        for one in due:
            closing.close(one)


def fill_rest(tenant: Tenant, owner: User, mark: str, sizes: Sizes) -> None:
    now = dt.datetime.now(dt.UTC)
    _insert(AuditEvent, (_act(tenant, owner, number, now) for number in range(sizes.audit_rows)))
    for number in range(sizes.others):
        registration.register(f"{mark}-{number}@example.com")
    people = [User.objects.create_user(f"{mark}-member-{number}@example.com") for number in range(sizes.some)]
    roles = itertools.cycle([Role.ADMIN, Role.DEVELOPER, Role.FINANCE, Role.VIEWER])
    _insert(Membership, (Membership(tenant=tenant, user=user, role=next(roles)) for user in people))
    end = now + dt.timedelta(days=7)
    invited = (
        Invitation(tenant=tenant, email=f"new-{number}@example.com", role=Role.VIEWER, expires_at=end)
        for number in range(sizes.some)
    )
    _insert(Invitation, invited)
    with schema_of(tenant):
        _fill_alerts(tenant, owner, sizes, now)
        _fill_routing(sizes.some)
        _insert(Verdict, (_verdict(number, number < sizes.some, now) for number in range(sizes.verdicts)))
        for number in range(sizes.some):
            shares.make(tenant, shares.Wish(spans.span_of("30d", now), f"Board {number}", False, 30), {"actor": owner})


def _act(tenant: Tenant, owner: User, number: int, now: dt.datetime) -> AuditEvent:
    return AuditEvent(
        at=now - dt.timedelta(minutes=2 * number),
        tenant=tenant,
        actor=owner,
        actor_label=f"person-{number % 30}@example.com",
        action=_ACTIONS[number % len(_ACTIONS)],
        target=f"thing {number % 100}",
        before={"name": "before", "limit": number},
        after={"name": "after", "limit": number + 1},
        ip_address="192.0.2.1",
    )


def _fill_alerts(tenant: Tenant, owner: User, sizes: Sizes, now: dt.datetime) -> None:
    hooks = min(sizes.some, changes.MAX_ENDPOINTS)
    values = [{"url": f"https://hooks.example.com/{number}"} for number in range(hooks)]
    endpoints = [changes.make_endpoint(tenant, one, {"actor": owner})[0] for one in values]
    facts = {"limit": "1,000", "used": "800", "percent": 80, "what": "requests", "span": "this month"}
    events = [
        AlertEvent(
            kind="quota_requests",
            subject=tenant.slug,
            facts=facts,
            dedupe_key=f"bench:{number}",
            at=now - dt.timedelta(minutes=10 * number),
            read_at=None if number < sizes.some else now,
        )
        for number in range(sizes.deliveries)
    ]
    _insert(AlertEvent, events)
    _insert(Delivery, (_delivery(number, event, endpoints) for number, event in enumerate(events)))


def _delivery(number: int, event: AlertEvent, endpoints: Sequence[WebhookEndpoint]) -> Delivery:
    failed = number % 20 == 0
    attempt = {"at": event.at.isoformat(), "status": 500 if failed else 200, "error": "", "took_ms": 120}
    return Delivery(
        event=event,
        endpoint=endpoints[number % len(endpoints)],
        status=Delivery.Status.FAILED if failed else Delivery.Status.DELIVERED,
        tries=3 if failed else 1,
        attempts=[attempt] * (3 if failed else 1),
        response="ok",
        next_at=None,
        created_at=event.at,
    )


def _fill_routing(some: int) -> None:
    providers = [Provider.objects.create(name=f"provider-{number}", kind="openai") for number in range(some)]
    names = ["support", *(f"route-{number}" for number in range(some - 1))]
    for name, provider in zip(names, providers, strict=True):
        route = Route.objects.create(model=name, strategy=Route.Strategy.WEIGHTED)
        Target.objects.create(route=route, provider=provider, upstream_model="gpt-4o-mini")
        Target.objects.create(route=route, provider=providers[0], upstream_model="gpt-4.1-mini", position=1)


def _verdict(number: int, waits: bool, now: dt.datetime) -> Verdict:
    at = now - dt.timedelta(minutes=20 * number)
    kinds = (Verdict.Kind.HIT, Verdict.Kind.NEAR_MISS, Verdict.Kind.SHADOW)
    return Verdict(
        at=at,
        kind=kinds[number % 3],
        similarity=0.75 + number % 25 / 100,
        entry_id=uuid.uuid4(),
        question=f"How do I return order {number}?",
        prompt=f"How can I send order {number + 1} back?",
        cached_answer="With the label in the box.",
        fresh_answer="Print a label, and bring it to the post.",
        right=None if waits else number % 40 != 0,
        source=Verdict.Source.NOBODY if waits else Verdict.Source.MODEL,
        judged_at=None if waits else at,
        cost_usd=None if waits else 0,
    )


def _insert(model: type[Model], rows: Iterable[Model]) -> None:
    for some in _batched(rows):
        model._default_manager.bulk_create(some)


def _batched(rows: Iterable[Model]) -> Iterator[list[Model]]:
    all_rows = iter(rows)
    while some := list(itertools.islice(all_rows, BATCH)):
        yield some


def finish(tenant: Tenant, owner: User) -> Filled:
    operator = User.objects.create_superuser(f"operator-of-{owner.email}")
    with schema_of(tenant):
        hits = UsageRecord.objects.filter(outcome=HIT_SEMANTIC).order_by("-at")
        least = CacheEntry.objects.filter(hits__gt=0).order_by("hits", "last_hit_at").first()
        most = CacheEntry.objects.order_by("-hits").first()
        route = Route.objects.get(model="support")
        named = {
            "record": str(hits[0].pk),
            "old record": str(UsageRecord.objects.order_by("at")[0].pk),
            "entry": str(most and most.pk),
            "seldom entry": str(least and least.pk),
            "route": str(route.pk),
            "provider": Provider.objects.all()[0].name,
            "endpoint": str(WebhookEndpoint.objects.all()[0].pk),
            "share": str(SavingsShare.objects.all()[0].pk),
            "kind": "quota_requests",
        }
    named["key"] = ApiKey.objects.filter(tenant=tenant).order_by("pk")[0].public_id
    member = Membership.objects.filter(tenant=tenant).exclude(user=owner).order_by("pk")[0]
    return Filled(tenant.slug, _cookie(owner), _cookie(operator), {**named, "member": str(member.user_id)})


def _cookie(user: User) -> str:
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return f"{name}={client.cookies[name].value}"
