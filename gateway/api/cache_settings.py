"""The workspace's cache policy: which tiers answer, for how long, at which similarity, and its own words."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway import redaction
from gateway.cache import judging
from gateway.cache.policy import CLASSES, OWN_WORD
from gateway.cache.rules import LONGEST_S
from gateway.errors import ModelNotFound
from gateway.models import CacheSettings
from tenants import audit
from tenants.audit import By
from tenants.bodies import Body, Number
from tenants.management_views import ManagementView, changing, printable, read
from tenants.models import Tenant
from tenants.roles import Action

# Below, similarity says nothing.
MIN_THRESHOLD = 0.5
MAX_RULES, MAX_WORDS, MAX_CHARACTERS = 100, 8, 200
_LAST_WORD = re.compile(rf"{OWN_WORD.pattern}\*?")


class RuleBody(Body):
    words = serializers.CharField(
        max_length=MAX_CHARACTERS, help_text="Words in a row, as “refund status*”: a last * stands for any ending."
    )
    kind = serializers.ChoiceField(sorted(CLASSES), help_text="How questions with these words are kept.")
    ttl_s = serializers.IntegerField(
        min_value=0, max_value=LONGEST_S, allow_null=True, default=None, help_text="Null: as usual for the kind."
    )

    def validate_words(self, value: str) -> str:
        """In the form in which questions are read."""
        *first, last = words = value.lower().split()
        if len(words) > MAX_WORDS:
            raise serializers.ValidationError(gettext("Up to %(most)s words.") % {"most": MAX_WORDS})
        for word in words:
            if not (_LAST_WORD if word is last else OWN_WORD).fullmatch(word):
                raise serializers.ValidationError(
                    gettext(
                        "“%(word)s” is no word here: letters and digits only, and a * at the end of the"
                        " last word at most. What stands between letters parts two words: what's is"
                        " “what s”."
                    )
                    % {"word": word}
                )
        return " ".join((*first, last))


class WordField(serializers.CharField):
    """A word or a few, found literally and in any case."""

    def to_internal_value(self, data: Any) -> str:
        words = " ".join(super().to_internal_value(data).split())
        if not words or not words.isprintable():
            raise serializers.ValidationError(gettext("Only printable characters, and at least one."))
        if words.lower() in {*redaction.RULES, redaction.WORD}:
            raise serializers.ValidationError(
                gettext("“%(word)s” is what stands in place of what was taken out.") % {"word": words}
            )
        return words


class Usd(Number):
    """Whole cents."""

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if self.max_value is not None and abs(value) > self.max_value:
            # More digits than a decimal has cannot be rounded.
            self.fail("max_value", max_value=self.max_value)
        return Decimal(str(value)).quantize(Decimal("0.01"))


class CacheSettingsBody(Body):
    exact = serializers.BooleanField(required=False, help_text="The same request gets the same answer.")
    semantic = serializers.BooleanField(required=False, help_text="A question that means the same gets it, too.")
    shadow = serializers.BooleanField(
        required=False, help_text="The semantic tier looks and reports, and does not answer."
    )
    threshold = Number(min_value=MIN_THRESHOLD, max_value=1, required=False, help_text="Least similarity.")
    ttl_s = serializers.IntegerField(
        min_value=0, max_value=LONGEST_S, required=False, help_text="Longest time an answer is kept."
    )
    stale_if_error_s = serializers.IntegerField(
        min_value=0,
        max_value=LONGEST_S,
        required=False,
        help_text="This long after that, it may stand in for a provider that fails.",
    )
    per_end_user = serializers.BooleanField(
        required=False, help_text="One end user's answers are not given to another; requests that name none get none."
    )
    rules = RuleBody(many=True, required=False, max_length=MAX_RULES, help_text="The first that fits decides.")
    wrong_budget = Number(
        min_value=0.001, max_value=0.5, required=False, help_text="Wrong answers among semantic hits, at most."
    )
    learn = serializers.BooleanField(
        required=False, help_text="Verdicts move the threshold, and may switch the tier off."
    )
    judge_model = serializers.CharField(
        max_length=120,
        allow_blank=True,
        required=False,
        validators=[printable],
        help_text="Of a provider of the workspace's own; empty: nobody judges.",
    )
    judge_budget_usd = Usd(min_value=0, max_value=1_000_000, required=False, help_text="A calendar month.")
    review = serializers.BooleanField(
        required=False, help_text="Samples are put aside for people to judge, on the page “Review”."
    )
    redact = serializers.ListField(
        child=serializers.ChoiceField(list(redaction.RULES)),
        required=False,
        max_length=len(redaction.RULES),
        help_text="What is taken out of texts before they are kept.",
    )
    redact_words = serializers.ListField(
        child=WordField(max_length=redaction.MAX_WORD_CHARACTERS),
        required=False,
        max_length=redaction.MAX_WORDS,
        help_text="The workspace's own words, taken out as well.",
    )
    skip_redacted = serializers.BooleanField(
        required=False, help_text="Answers to requests that hold any of it are not kept at all."
    )
    mask_answers = serializers.BooleanField(
        required=False,
        help_text="Answers that hold any of it are kept, and given again, with placeholders; else they are not kept.",
    )

    def validate_redact(self, value: list[str]) -> list[str]:
        """Each once, in the rules' own order."""
        return [name for name in redaction.RULES if name in value]


def shown(row: CacheSettings) -> dict[str, Any]:
    return dict(CacheSettingsBody(row).data)


class CacheSettingsView(ManagementView):
    """What the cache may do for all requests that do not ask for less."""

    action = Action.CACHE

    @extend_schema(operation_id="read_cache_settings", responses=CacheSettingsBody)
    def get(self, request: Request) -> Response:
        with self.reading():
            return Response(shown(row_of_settings()))

    @extend_schema(operation_id="change_cache_settings", request=CacheSettingsBody, responses=CacheSettingsBody)
    def patch(self, request: Request) -> Response:
        """What is sent is changed; `rules` are replaced as a whole."""
        values = read(CacheSettingsBody(data=request.data))
        return Response(change(self.key.tenant, values, self.by()))


def change(tenant: Tenant, values: dict[str, Any], by: By) -> dict[str, Any]:
    """What holds then; `values` as CacheSettingsBody has checked them. Raises ValidationError, Conflict."""
    with changing(tenant):
        if values.get("judge_model"):
            _check_judge(tenant, values["judge_model"])
        after: dict[str, Any] = audit.change(
            "cache_settings.changed", row_of_settings(), values, shown, tenant=tenant, target="cache settings", **by
        )
    return after


def _check_judge(tenant: Tenant, model: str) -> None:
    try:
        judging.check_model(tenant, model)
    except ModelNotFound as error:
        raise serializers.ValidationError({"judge_model": error.message}) from error


def row_of_settings() -> CacheSettings:
    """The tenant's, or the defaults."""
    return CacheSettings.objects.first() or CacheSettings()
