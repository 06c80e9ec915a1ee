"""Providers of the workspace. Credentials go in and never come out; addresses are the public ones only."""

from __future__ import annotations

import urllib.parse
from typing import Any

from django.conf import settings
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.models import Provider
from gateway.providers.vendors import VENDORS
from tenants import audit, secretbox
from tenants.audit import By
from tenants.bodies import Body, Number
from tenants.management_views import Conflict, ManagementView, changing, listed, missing, printable, read
from tenants.models import Tenant
from tenants.network import NEVER, PrivateAddress, allowed, check_literal
from tenants.roles import Action

MAX_PROVIDERS = 100
# Of PositiveSmallIntegerField.
MAX_POSITION = 32_767


class SettingsBody(Body):
    """Of the provider's kind; `models`, `first_byte_timeout_s` and `max_tokens` are for any."""

    models = serializers.ListField(
        child=serializers.CharField(max_length=120, validators=[printable]),
        required=False,
        allow_empty=False,
        max_length=500,
        help_text="The models that it has; without them, those that its price catalog knows.",
    )
    first_byte_timeout_s = Number(required=False, min_value=0.01, max_value=600)
    max_tokens = serializers.IntegerField(
        required=False, min_value=1, max_value=1_000_000, help_text="Anthropic: where the request sets no limit."
    )
    api_version = serializers.RegexField(r"^[\w.-]+\Z", required=False, max_length=40, help_text="Azure: 2024-10-21 …")
    latency_ms = Number(required=False, min_value=0, max_value=60_000, help_text="Simulated: before the first token.")
    tokens_per_s = Number(required=False, min_value=0, max_value=1_000_000, help_text="Simulated; 0: at once.")
    tokens = serializers.IntegerField(
        required=False, min_value=1, max_value=10_000, help_text="Simulated: length of the answer."
    )
    failure_rate = Number(required=False, min_value=0, max_value=1, help_text="Simulated: share of calls that fail.")
    cut_rate = Number(required=False, min_value=0, max_value=1, help_text="Simulated: share of streams that break off.")


class ProviderBody(Body):
    name = serializers.SlugField(max_length=64, help_text="As in `provider/model`; unique in the workspace.")
    kind = serializers.ChoiceField(Provider.Kind.choices)
    base_url = serializers.CharField(
        max_length=400, required=False, allow_blank=True, help_text="Empty: the vendor's own."
    )
    api_key = serializers.RegexField(
        r"^[\x21-\x7e]*\Z",
        max_length=4096,
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="Kept encrypted, never shown. Empty takes it away.",
    )
    has_api_key = serializers.SerializerMethodField()
    catalog = serializers.RegexField(
        r"^[a-z0-9._-]*\Z", max_length=60, required=False, allow_blank=True, help_text="Whose prices apply."
    )
    settings = SettingsBody(required=False)
    max_concurrency = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=100_000, help_text="Calls at the same time, at most."
    )
    enabled = serializers.BooleanField(required=False)
    position = serializers.IntegerField(
        required=False, min_value=0, max_value=MAX_POSITION, help_text="Lower ones are asked first."
    )
    created_at = serializers.DateTimeField(read_only=True)

    def get_has_api_key(self, provider: Provider) -> bool:
        return bool(provider.credential)

    def validate_base_url(self, url: str) -> str:
        if url:
            _check_url(url)
        return url

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Over what the row has already, where this changes a part of it."""
        known: Provider | None = self.instance
        kind = attrs.get("kind", known.kind if known else "")
        base_url = attrs.get("base_url", known.base_url if known else "")
        vendor = VENDORS.get(kind)
        own = vendor.base_url if vendor else ""
        if vendor and not base_url and (not own or _is_here(own)):
            raise serializers.ValidationError(
                {"base_url": gettext("A provider of kind %(kind)s needs one.") % {"kind": kind}}
            )
        moved = known is not None and (kind, base_url) != (known.kind, known.base_url)
        if moved and known is not None and known.credential and "api_key" not in attrs:
            # Else whoever may change an address could have the key sent to them.
            raise serializers.ValidationError(
                {"api_key": gettext("Send it again: a key is not taken along to another kind or address.")}
            )
        return attrs


def _check_url(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise serializers.ValidationError(gettext("This is not a URL.")) from None
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url or "\\" in url:
        raise serializers.ValidationError(gettext("It must be a URL such as https://api.example.com/v1."))
    if "@" in parts.netloc:
        raise serializers.ValidationError(gettext("It must hold no user or password; send the key as `api_key`."))
    if "?" in url or "#" in url:
        raise serializers.ValidationError(gettext("It must have neither a query nor a fragment."))
    try:
        check_literal(url, allowed(private=settings.PRIVATE_PROVIDERS))
    except PrivateAddress as error:
        if settings.PRIVATE_PROVIDERS:
            raise serializers.ValidationError(NEVER) from None
        raise serializers.ValidationError(
            gettext("%(why)s; providers are called at public addresses only.") % {"why": error}
        ) from None
    if parts.scheme != "https" and not settings.PRIVATE_PROVIDERS:
        raise serializers.ValidationError(
            gettext("It must begin with https: else whoever is on the way reads the key and what is asked.")
        )


def _is_here(url: str) -> bool:
    """A default on this machine, which is none of the tenant's."""
    return not settings.PRIVATE_PROVIDERS and urllib.parse.urlsplit(url).hostname == "localhost"


class ProviderListSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = ProviderBody(many=True)


def shown(provider: Provider) -> dict[str, Any]:
    return dict(ProviderBody(provider).data)


class ProvidersView(ManagementView):
    """The workspace's providers, in the order in which they are asked."""

    action = Action.PROVIDERS
    to_read = Action.ROUTES

    @extend_schema(operation_id="list_providers", responses=ProviderListSerializer)
    def get(self, request: Request) -> Response:
        with self.reading():
            return Response(listed([shown(provider) for provider in Provider.objects.all()]))

    @extend_schema(operation_id="make_provider", request=ProviderBody, responses={201: ProviderBody})
    def post(self, request: Request) -> Response:
        return Response(create(self.key.tenant, request.data, self.by()), status=201)


class ProviderView(ManagementView):
    """One provider, by its name."""

    action = Action.PROVIDERS
    to_read = Action.ROUTES

    @extend_schema(operation_id="read_provider", responses=ProviderBody)
    def get(self, request: Request, name: str) -> Response:
        with self.reading():
            return Response(shown(_find(name)))

    @extend_schema(operation_id="change_provider", request=ProviderBody(partial=True), responses=ProviderBody)
    def patch(self, request: Request, name: str) -> Response:
        """Fields that are left out stay as they are; `settings` is replaced as a whole."""
        return Response(change(self.key.tenant, name, request.data, self.by()))

    @extend_schema(operation_id="delete_provider", request=None, responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Refused while routes lead there."""
        delete(self.key.tenant, name, self.by())
        return Response(status=204)


def create(tenant: Tenant, sent: Any, by: By) -> dict[str, Any]:
    """The provider as the API shows it; `sent` as ProviderBody reads it. Raises ValidationError, Conflict."""
    values = read(ProviderBody(data=sent))
    with changing(tenant):
        _check_name(values["name"])
        if Provider.objects.count() >= MAX_PROVIDERS:
            raise Conflict(
                gettext("A workspace has %(most)s providers at most.") % {"most": MAX_PROVIDERS}, "limit_reached"
            )
        provider = Provider()
        _apply(provider, values)
        after = shown(provider)
        audit.record("provider.created", tenant=tenant, target=provider.name, after=after, **by)
    return after


def change(tenant: Tenant, name: str, sent: Any, by: By) -> dict[str, Any]:
    """The same for one that there is. Raises ValidationError, Conflict, NotFound."""
    with changing(tenant):
        provider = _find(name)
        before = shown(provider)
        values = read(ProviderBody(provider, data=sent, partial=True))
        if values.get("name", name) != name:
            _check_name(values["name"])
        _apply(provider, values)
        after = shown(provider)
        told = {**after, "api_key_replaced": True} if "api_key" in values else after
        audit.record_change("provider.changed", tenant=tenant, target=name, before=before, after=told, **by)
    return after


def delete(tenant: Tenant, name: str, by: By) -> None:
    """Raises NotFound; Conflict while routes lead there."""
    with changing(tenant):
        provider = _find(name)
        if routes := sorted(set(provider.targets.values_list("route__model", flat=True)))[:5]:
            raise Conflict(
                gettext("Routes lead to “%(name)s”: %(routes)s. Change those first.")
                % {"name": name, "routes": ", ".join(routes)},
                "in_use",
            )
        audit.record("provider.deleted", tenant=tenant, target=name, before=shown(provider), **by)
        provider.delete()


def _find(name: str) -> Provider:
    provider = Provider.objects.filter(name=name).first()
    if provider is None:
        raise missing("provider", name)
    return provider


def _check_name(name: str) -> None:
    if Provider.objects.filter(name=name).exists():
        raise Conflict(gettext("There is a provider “%(name)s” already.") % {"name": name}, "name_taken")


def _apply(provider: Provider, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if name != "api_key":
            setattr(provider, name, value)
    if "api_key" in values:
        provider.credential = secretbox.seal(values["api_key"]) if values["api_key"] else b""
    provider.save()
