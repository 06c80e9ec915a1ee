"""What the cache would do with a question: the nearest kept ones, and what refuses each. Asks and counts nothing."""

from __future__ import annotations

import uuid
from typing import Any

import orjson
from asgiref.sync import async_to_sync
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from gateway import admission, explain, runtime
from gateway.cache import transfer
from gateway.dialects import openai_chat
from gateway.models import CacheEntry
from gateway.pages import difference, durations
from tenants import keyspace, pace
from tenants.access import allowed, membership_of
from tenants.models import Tenant
from tenants.pace import TooOften
from tenants.roles import Action
from tenants.writing import number

MODEL, QUESTION, SYSTEM, NAMESPACE = 120, 8_000, 20_000, 64


@allowed(Action.CONTENT)
@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest, slug: str) -> HttpResponseBase:
    tenant = membership_of(request).tenant
    given = {
        "model": request.POST.get("model", "").strip()[:MODEL],
        "question": request.POST.get("question", "")[:QUESTION],
        "system": request.POST.get("system", "")[:SYSTEM],
        "namespace": request.POST.get("namespace", "").strip()[:NAMESPACE],
    }
    context: dict[str, Any] = {"here": "explain", "given": given}
    if request.method == "GET":
        context["given"]["model"] = _usual_model()
        return render(request, "gateway/cache/explain.html", context)
    if not given["question"].strip() or not given["model"]:
        context["wrong"] = _("Write a question, and the model that apps ask for.")
        return render(request, "gateway/cache/explain.html", context, status=400)
    try:
        pace.count(keyspace.explanations(tenant.pk), explain.PER_MINUTE, explain.EXPLAINED)
    except TooOften as error:
        context["wrong"] = str(error.detail)
        return render(request, "gateway/cache/explain.html", context, status=429)
    found = async_to_sync(_explain)(tenant, given)
    if found["cache"] is not None:
        long, unit = durations.split(found["cache"]["ttl_s"])
        context["kept"] = (long, durations.UNIT_NAMES[unit])
    context |= {"found": found, "error": found["error"], "near": _near(given["question"], found["cache"])}
    return render(request, "gateway/cache/explain.html", context)


async def _explain(tenant: Tenant, given: dict[str, str]) -> dict[str, Any]:
    gateway = await runtime.current()
    messages = [{"role": "system", "content": given["system"]}] if given["system"] else []
    messages.append({"role": "user", "content": given["question"]})
    headers = {b"x-nexus-cache-namespace": given["namespace"].encode()} if given["namespace"] else {}
    # What apps send: half a character would have come as a question mark.
    body = orjson.dumps({"model": given["model"], "messages": messages})
    incoming = admission.Incoming(openai_chat, headers, body, admission.new_id())
    return await explain.explain(gateway, transfer.principal_of(tenant), incoming)


def _near(question: str, cache: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What would be looked at, in its order; the first that nothing refuses answers."""
    if cache is None:
        return []
    rows = []
    answered = False
    for each in cache["semantic"]["nearest"]:
        enough = each["similarity"] >= cache["semantic"]["threshold"]
        answers = enough and each["guard"] is None and not answered
        answered = answered or answers
        rows.append(
            {
                **each,
                "id": uuid.UUID(each["entry_id"]),
                "told": number(each["similarity"], 3),
                "pieces": difference.compare(question, each["prompt"])[1],
                "is_enough": enough,
                "answers": answers,
            }
        )
    return rows


def _usual_model() -> str:
    """That of the newest entry."""
    newest = CacheEntry.objects.order_by("-created_at").values_list("model", flat=True).first()
    return newest or "gpt-4o-mini"
