"""Judges what waits of one tenant's samples, by the tenant's own model and within its budget. Never in a request's way.

Each sample is locked while it is judged: two workers take different ones, and what a killed one had in hand is judged
again.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from decimal import Decimal
from typing import NamedTuple

import aiohttp
from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from billing import pricing
from gateway.cache import judge, verdict_counts
from gateway.cache.judge import Judge, Opinion, Sample
from gateway.errors import ModelNotFound, ProviderError, ProviderRefused
from gateway.models import CacheSettings, Provider, Verdict
from gateway.providers import network
from gateway.runtime import make_providers
from gateway.setups import provider_of
from gateway.types import ProviderConfig
from tenants.db import schema_of
from tenants.models import Tenant
from tenants.network import allowed

logger = logging.getLogger(__name__)

# Then the tenant's next turn comes, after the others'.
BATCH, BATCH_S = 20, 25.0
# A model whose price nobody knows is bounded by number, in a calendar month.
UNPRICED_A_MONTH = 1_000
# A provider that refuses with these refuses this sample, and not the model or the key.
_ABOUT_THE_SAMPLE = frozenset({400, 413, 422})
_NOTE_CHARACTERS = 400


class Spent(NamedTuple):
    """By the judge in this calendar month; `unpriced`: opinions whose price nobody knows."""

    usd: Decimal
    unpriced: int

    def allows(self, row: CacheSettings) -> bool:
        return self.usd < row.judge_budget_usd and self.unpriced < UNPRICED_A_MONTH


def spent(now: dt.datetime) -> Spent:
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = Verdict.objects.filter(judged_at__gte=month, source=Verdict.Source.MODEL).aggregate(
        usd=Sum("cost_usd"), unpriced=Count("id", filter=Q(cost_usd=None))
    )
    return Spent(found["usd"] or Decimal(0), found["unpriced"])


def waiting() -> QuerySet[Verdict]:
    return Verdict.objects.filter(right=None, judged_at=None)


def own_providers(tenant: Tenant) -> list[ProviderConfig]:
    """Those that are switched on; of the schema that is entered."""
    rows = Provider.objects.filter(enabled=True).values()
    return [provider_of({**row}, f"t{tenant.pk}") for row in rows]


def check_model(tenant: Tenant, model: str) -> None:
    """Whether it may be made the judge; within the tenant's schema. Raises ModelNotFound."""
    judge.able(own_providers(tenant), model)


def problem(tenant: Tenant, row: CacheSettings) -> str | None:
    """Why samples wait; within the tenant's schema."""
    if not row.judge_model:
        return None
    try:
        check_model(tenant, row.judge_model)
    except ModelNotFound as error:
        return error.message
    if not spent(timezone.now()).allows(row):
        return (
            f"What may be spent in a month is: {row.judge_budget_usd:.2f} USD, {UNPRICED_A_MONTH:,} unpriced verdicts."
        )
    oldest = waiting().order_by("at").first()
    return (oldest and oldest.note) or None


def judge_some(tenant: Tenant) -> int:
    """The number of samples that were judged; fewer than a batch when the budget is spent or the provider fails."""
    with schema_of(tenant):
        row = CacheSettings.objects.exclude(judge_model="").first()
        if row is None or not spent(timezone.now()).allows(row):
            return 0
        try:
            appointed = judge.appointed(own_providers(tenant), row.judge_model, pricing.load_book(), timezone.now())
        except ModelNotFound:
            return 0
        with asyncio.Runner() as runner:
            session = runner.run(_session())
            try:
                return _judge_in_turn(runner, session, appointed, row)
            finally:
                runner.run(session.close())


async def _session() -> aiohttp.ClientSession:
    """Made in the loop that it is used in."""
    may_be_called = allowed(private=settings.PRIVATE_PROVIDERS)
    return network.make_session(read_timeout_s=judge.TIMEOUT_S, allowed=may_be_called)


def _judge_in_turn(runner: asyncio.Runner, session: aiohttp.ClientSession, appointed: Judge, row: CacheSettings) -> int:
    provider = make_providers(session, session)[appointed.candidate.provider.kind]
    judged, until = 0, time.monotonic() + BATCH_S
    while judged < BATCH and time.monotonic() < until and spent(timezone.now()).allows(row):
        with transaction.atomic():
            sample = waiting().select_for_update(skip_locked=True).order_by("at").first()
            if sample is None:
                break
            try:
                texts = Sample(sample.question, sample.prompt, sample.cached_answer, sample.fresh_answer)
                opinion = runner.run(judge.ask(provider, appointed, texts))
            except (ProviderError, TimeoutError) as error:
                if not isinstance(error, ProviderRefused) or error.status not in _ABOUT_THE_SAMPLE:
                    _note_failure(sample, error, appointed)
                    break
                opinion = Opinion(None, _said(error, appointed), Decimal(0))
            _keep(sample, opinion)
        judged += 1
    return judged


def _keep(sample: Verdict, opinion: Opinion) -> None:
    """What could not be read stays without a verdict, and is not asked about again."""
    sample.right, sample.note, sample.cost_usd = opinion.right, opinion.why, opinion.cost_usd
    sample.source, sample.judged_at = Verdict.Source.MODEL, timezone.now()
    sample.save(update_fields=["right", "note", "cost_usd", "source", "judged_at"])
    if opinion.right is not None:
        verdict_counts.note(sample.kind, right=opinion.right, source="model")


def _note_failure(sample: Verdict, error: ProviderError | TimeoutError, appointed: Judge) -> None:
    """People are shown why the next in line still waits."""
    sample.note = _said(error, appointed)
    sample.save(update_fields=["note"])
    logger.info("%s does not judge: %s", appointed.candidate.provider.name, sample.note)


def _said(error: ProviderError | TimeoutError, appointed: Judge) -> str:
    provider = appointed.candidate.provider
    if isinstance(error, TimeoutError):
        return f"{provider.name} did not answer within {judge.TIMEOUT_S:g} s."
    # Some servers say again what they were sent.
    text = error.message.replace(provider.api_key, "…") if provider.api_key else error.message
    return text[:_NOTE_CHARACTERS].replace("\0", "")
