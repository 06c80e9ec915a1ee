"""Forgets an end user of the workspace's app, for good (docs/erase.md)."""

from __future__ import annotations

import dataclasses
from typing import Any

import redis
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway import erasure
from gateway.cache.fingerprint import end_user_digest
from tenants.bodies import Body
from tenants.management_views import ManagementView, Unavailable, read
from tenants.roles import Action


class ErasureBody(Body):
    end_user = serializers.CharField(
        max_length=10_000,
        trim_whitespace=False,
        help_text="As the app names it: `user`, `safety_identifier` or Anthropic's `metadata.user_id`.",
    )
    preview = serializers.BooleanField(default=False, help_text="Only say how much there is.")


class ErasureSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    preview = serializers.BooleanField()
    end_user_digest = serializers.CharField(help_text="As the audit log has it; nothing keeps the name.")
    cache_entries = serializers.IntegerField(help_text="Kept answers, pinned ones too.")
    samples = serializers.IntegerField(help_text="Samples and verdicts that lost their texts.")
    replays = serializers.IntegerField(help_text="Answers that were kept for a repeated Idempotency-Key.")
    records = serializers.IntegerField(
        help_text="Usage records that lost a request id or a tag; tokens and money stay. Of a preview, at least."
    )


class ErasureView(ManagementView):
    """Takes away what is known of one end user of the workspace's app. Money and tokens stay in the books."""

    action = Action.SETTINGS

    @extend_schema(operation_id="erase_end_user", request=ErasureBody, responses=ErasureSerializer)
    def post(self, request: Request) -> Response:
        """What is answered while it runs, or later, is kept again: stop the user's calls first, or ask again. Who asks
        again is told of what is left, which is nothing as a rule.
        """
        body = read(ErasureBody(data=request.data))
        tenant, name = self.key.tenant, body["end_user"]
        try:
            erased = erasure.found(tenant, name) if body["preview"] else erasure.erase(tenant, name, self.by())
        except redis.RedisError as error:
            raise Unavailable(gettext("The cache cannot be reached right now; some may be left. Try again.")) from error
        answer = {"object": "erasure", "preview": body["preview"], "end_user_digest": end_user_digest(name)}
        return Response({**answer, **dataclasses.asdict(erased)})
