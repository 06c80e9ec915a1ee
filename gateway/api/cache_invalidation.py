"""Takes kept answers away: by tag, namespace, entry, end user, model, age, text or meaning, or all of them.

By meaning nobody knows beforehand what goes: a preview shows it, and only what it showed can be taken away.
"""

from __future__ import annotations

import base64
import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import redis
from asgiref.sync import async_to_sync
from django.core import signing
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from gateway import runtime
from gateway.api.cache_entries import EntrySerializer, listing, shown
from gateway.cache import exact, meaning, removal, samples
from gateway.cache.embedding.base import EmbeddingError, TextRefused
from gateway.cache.fingerprint import end_user_digest
from gateway.cache.holding import id_of
from gateway.cache.rules import LONGEST_S
from gateway.models import CacheEntry
from tenants import audit
from tenants.audit import By
from tenants.bodies import Body, Number
from tenants.db import schema_of
from tenants.management_views import ManagementView, Unavailable, read
from tenants.models import Tenant
from tenants.roles import Action
from tenants.writing import number

SAMPLES = 20
TOKEN_S = 600
# Of 40 topics of a bank's questions, named in a few words, 81 % of their own questions are as similar, 3 % of others.
SIMILARITY = 0.45
_TOKEN_SALT = "gateway.cache.invalidation"
# One of these says which.
WHICH = ("tag", "namespace", "entry", "end_user", "model", "older_than_s", "text", "all", "meaning")


class InvalidationBody(Body):
    tag = serializers.CharField(max_length=64, required=False)
    namespace = serializers.CharField(max_length=64, allow_blank=True, required=False, help_text="Empty: of none.")
    entry = serializers.CharField(max_length=64, required=False, help_text="As in X-Nexus-Cache-Id.")
    end_user = serializers.CharField(
        max_length=10_000, trim_whitespace=False, required=False, help_text="As the app names it in its requests."
    )
    model = serializers.CharField(max_length=120, required=False, help_text="As apps ask for it.")
    older_than_s = serializers.IntegerField(
        min_value=0, max_value=LONGEST_S, required=False, help_text="Kept for longer than this."
    )
    text = serializers.CharField(max_length=200, required=False, help_text="A part of the question.")
    all = serializers.BooleanField(required=False)
    meaning = serializers.CharField(max_length=400, required=False, help_text="As “everything about refunds”.")
    similarity = Number(min_value=0.2, max_value=1, default=SIMILARITY, help_text="Of question and meaning, at least.")
    pinned = serializers.BooleanField(default=False, help_text="Pinned answers, too.")
    preview = serializers.BooleanField(required=False, help_text="Only say which. By meaning it is the default.")
    token = serializers.CharField(
        max_length=200_000, required=False, help_text="Of the preview: by meaning, exactly what it showed goes."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        which = [name for name in WHICH if name in attrs]
        if len(which) != 1:
            raise ValidationError(
                gettext("Send exactly one of %(known)s; there is %(sent)s.")
                % {"known": ", ".join(WHICH), "sent": " and ".join(which) or "none"}
            )
        if attrs.get("all") is False:
            raise ValidationError({"all": gettext("It can only be true.")})
        if "token" in attrs and "meaning" not in attrs:
            raise ValidationError({"token": gettext("Only what goes by meaning has one.")})
        by_meaning = "meaning" in attrs
        attrs.setdefault("preview", by_meaning and "token" not in attrs)
        if by_meaning and not attrs["preview"] and "token" not in attrs:
            raise ValidationError(
                {"token": gettext("By meaning, ask for a preview first, and send its token with the same meaning.")}
            )
        return attrs


class SampleSerializer(EntrySerializer):
    similarity = serializers.FloatField(
        allow_null=True,
        help_text="To the meaning; less than asked for where all its words are there. Null: nothing to compare.",
    )


class InvalidationSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    preview = serializers.BooleanField()
    count = serializers.IntegerField(help_text="How many go, or went.")
    kept_pinned = serializers.IntegerField(help_text="Pinned ones that stay, because `pinned` was not sent.")
    emptied_samples = serializers.IntegerField(
        help_text="Samples for review that lose, or lost, their questions and answers."
    )
    samples = SampleSerializer(many=True, help_text=f"Of a preview, up to {SAMPLES}.")
    token = serializers.CharField(allow_null=True, help_text=f"Of a preview by meaning: good for {TOKEN_S // 60} min.")


class InvalidationView(ManagementView):
    """Takes kept answers away. Pinned ones stay unless `pinned` says otherwise."""

    action = Action.CACHE

    @extend_schema(operation_id="invalidate_cache", request=InvalidationBody, responses=InvalidationSerializer)
    def post(self, request: Request) -> Response:
        """Answers under way are kept when they come, and repeated Idempotency-Keys get the answer they had. Samples
        for the review queue lose the questions and answers that are meant, too; their verdicts stay as figures.
        """
        body = read(InvalidationBody(data=request.data))
        return Response(invalidate(self.key.tenant, body, self.by()))


def invalidate(tenant: Tenant, body: dict[str, Any], by: By) -> dict[str, Any]:
    """As InvalidationSerializer has it; `body` is as InvalidationBody has checked it.

    Raises ValidationError, Unavailable.
    """
    found: dict[uuid.UUID, float | None] | None = None
    if "meaning" in body and body["preview"]:
        found = _by_meaning(tenant, body)
    elif "meaning" in body:
        found = dict.fromkeys(_read_token(tenant, body))
    with schema_of(tenant):
        matching = CacheEntry.objects.filter(pk__in=found) if found is not None else _matching(body)
        going = matching if body["pinned"] else matching.filter(pinned=False)
        kept_pinned = 0 if body["pinned"] else matching.filter(pinned=True).count()
        answer = {"object": "cache.invalidation", "preview": body["preview"], "kept_pinned": kept_pinned}
        sampled = samples.of_entries(going.values_list("pk", flat=True)) | _samples_of(body)
        answer["emptied_samples"] = samples.with_texts(sampled).count()
        if body["preview"]:
            answer |= {"count": going.count(), "samples": _samples(going, found), "token": None}
            if found is not None:
                answer["token"] = _write_token(tenant, body, list(going.values_list("pk", flat=True)))
        else:
            answer |= {"count": _remove(tenant, body, going, by), "samples": [], "token": None}
    return answer


def _remove(tenant: Tenant, body: dict[str, Any], going: QuerySet[CacheEntry], by: By) -> int:
    """What went is in the audit log, also where it was cut off."""
    count = 0
    try:
        if "all" in body:
            exact.forget_all(tenant.pk, pinned=body["pinned"])
        for gone in removal.remove(tenant, going):
            count += gone
        samples.forget(_samples_of(body))
    except redis.RedisError as error:
        raise Unavailable(
            gettext("The cache cannot be reached right now; %(count)s are gone. Try again.") % {"count": number(count)}
        ) from error
    finally:
        which = next(name for name in WHICH if name in body)
        after = {**_written(which, body[which]), "pinned": body["pinned"], "count": count}
        audit.record("cache.invalidated", tenant=tenant, target=which, after=after, **by)
    return count


def _samples_of(body: dict[str, Any]) -> Q:
    """Samples that are meant as well, where that shows without their entries: those may be gone for long."""
    if "all" in body:
        return samples.of_all()
    if "end_user" in body:
        return Q(end_user=end_user_digest(body["end_user"]))
    if "entry" in body:
        entry_id = id_of(body["entry"])
        return samples.of_entries([entry_id] if entry_id else [])
    if "older_than_s" in body:
        return Q(at__lt=timezone.now() - dt.timedelta(seconds=body["older_than_s"]))
    return samples.that_say(body["text"]) if "text" in body else samples.of_entries([])


def _written(which: str, value: Any) -> dict[str, Any]:
    """For a log from which nothing is ever deleted: neither an end user's name nor what somebody asks."""
    if which in ("text", "meaning"):
        return {f"{which}_length": len(value)}
    return {which: end_user_digest(value) if which == "end_user" else value}


def _by_meaning(tenant: Tenant, body: dict[str, Any]) -> dict[uuid.UUID, float | None]:
    found = near(tenant, body["meaning"], body["similarity"])
    if len(found) > meaning.MOST:
        raise ValidationError(
            {
                "meaning": gettext(
                    "More than %(most)s entries are about this. Say it more narrowly, send a higher"
                    " `similarity`, or invalidate by tag or namespace."
                )
                % {"most": number(meaning.MOST)}
            }
        )
    return found


def near(tenant: Tenant, phrase: str, similarity: float) -> dict[uuid.UUID, float | None]:
    """Entries about this, the most similar first. Raises ValidationError, Unavailable."""
    try:
        heard = async_to_sync(_phrase)(phrase)
    except TextRefused as error:
        raise ValidationError(
            {"meaning": gettext("The embedding model cannot read this: %(why)s") % {"why": error}}
        ) from error
    except EmbeddingError as error:
        raise Unavailable(
            gettext("Meanings cannot be compared right now, try again: %(why)s") % {"why": error}
        ) from error
    with schema_of(tenant):
        return dict(meaning.find(tenant.schema_name, heard, similarity))


def _write_token(tenant: Tenant, body: dict[str, Any], ids: Sequence[uuid.UUID]) -> str:
    packed = base64.b64encode(b"".join(each.bytes for each in ids)).decode()
    return signing.dumps([tenant.pk, body["meaning"], packed], salt=_TOKEN_SALT)


def _read_token(tenant: Tenant, body: dict[str, Any]) -> list[uuid.UUID]:
    """Those of the preview. Raises ValidationError."""
    try:
        tenant_id, phrase, packed = signing.loads(body["token"], salt=_TOKEN_SALT, max_age=TOKEN_S)
    except signing.SignatureExpired:
        raise ValidationError(
            {
                "token": gettext("It was good for %(minutes)s minutes. Ask for a preview again.")
                % {"minutes": TOKEN_S // 60}
            }
        ) from None
    except signing.BadSignature:
        raise ValidationError({"token": gettext("It is no token of a preview.")}) from None
    if (tenant_id, phrase) != (tenant.pk, body["meaning"]):
        raise ValidationError({"token": gettext("It belongs to a preview of another meaning.")})
    ids = base64.b64decode(packed)
    return [uuid.UUID(bytes=ids[at : at + 16]) for at in range(0, len(ids), 16)]


async def _phrase(text: str) -> meaning.Phrase:
    gateway = await runtime.current()
    return await meaning.read(gateway.embedder, text)


def _matching(body: dict[str, Any]) -> QuerySet[CacheEntry]:
    if "all" in body:
        return CacheEntry.objects.all()
    if "tag" in body:
        return CacheEntry.objects.filter(tags__contains=[body["tag"]])
    if "end_user" in body:
        return CacheEntry.objects.filter(end_user=end_user_digest(body["end_user"]))
    if "entry" in body:
        entry_id = id_of(body["entry"])
        return CacheEntry.objects.filter(pk=entry_id) if entry_id else CacheEntry.objects.none()
    if "older_than_s" in body:
        return CacheEntry.objects.filter(created_at__lt=timezone.now() - dt.timedelta(seconds=body["older_than_s"]))
    if "text" in body:
        return CacheEntry.objects.filter(prompt__icontains=body["text"])
    name = "model" if "model" in body else "namespace"
    return CacheEntry.objects.filter(**{name: body[name]})


def _samples(going: QuerySet[CacheEntry], found: dict[uuid.UUID, float | None] | None) -> list[dict[str, Any]]:
    """By meaning the most similar, else the newest."""
    if found is None:
        return [{**shown(entry), "similarity": None} for entry in listing(going).order_by("-created_at")[:SAMPLES]]
    places = {entry_id: place for place, entry_id in enumerate(found)}
    first = sorted(going.values_list("pk", flat=True), key=places.__getitem__)[:SAMPLES]
    entries = listing(going).in_bulk(first)
    return [{**shown(entries[each]), "similarity": _rounded(found[each])} for each in first if each in entries]


def _rounded(similarity: float | None) -> float | None:
    return None if similarity is None else round(similarity, 4)
