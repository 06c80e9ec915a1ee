"""What the views of the management API share, in every app: who may call them, and what every change does besides."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound
from rest_framework.permissions import BasePermission
from rest_framework.views import APIView

from tenants import addresses, audit, revocations
from tenants.audit import By
from tenants.authentication import KeyAuthentication, MayManage
from tenants.bodies import JsonParser
from tenants.db import schema_of
from tenants.models import ApiKey, Tenant
from tenants.roles import Action


class Conflict(APIException):
    status_code = 409
    default_code = "conflict"


class Unavailable(APIException):
    status_code = 503
    default_code = "service_unavailable"


@contextlib.contextmanager
def changing(tenant: Tenant, *, affects_calls: bool = True) -> Iterator[None]:
    """One change of a tenant at a time, whole or not at all. Raises Conflict, NotFound.

    Every process forgets what it knows of the tenant, unless no call goes by what is changed.
    """
    try:
        with schema_of(tenant), transaction.atomic():
            # Two at once would both find a name free, or the last place of a limit.
            if Tenant.objects.select_for_update(no_key=True).filter(pk=tenant.pk).first() is None:
                raise NotFound(gettext("This workspace has been deleted."))
            yield
            if affects_calls:
                revocations.publish(f"tenant:{tenant.pk}")
    except IntegrityError as error:
        # Somebody in the admin or a shell, who does not take the lock; some of it shows at the commit only.
        raise Conflict(gettext("This was changed by somebody else at the same moment. Try again.")) from error


class ManagementView(APIView):
    """`action` is what a key must have the scope for; `to_read`, if it is another one, what suffices to look."""

    action: Action
    to_read: Action | None = None
    authentication_classes = (KeyAuthentication,)
    permission_classes: tuple[type[BasePermission], ...] = (MayManage,)
    parser_classes: tuple[type[JsonParser], ...] = (JsonParser,)

    @property
    def key(self) -> ApiKey:
        key: ApiKey = self.request.auth
        return key

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        with schema_of(self.key.tenant):
            yield

    def changing(self, *, affects_calls: bool = True) -> contextlib.AbstractContextManager[None]:
        return changing(self.key.tenant, affects_calls=affects_calls)

    def by(self) -> By:
        """Who asks, for the audit log."""
        return {"actor_label": str(self.key), "ip": addresses.client_address(self.request)}

    def record(self, action: str, target: str, *, before: Any = None, after: Any = None) -> None:
        """`before` and `after` as the API shows them: without a credential. What changes nothing leaves no row."""
        audit.record_change(action, tenant=self.key.tenant, target=target, before=before, after=after, **self.by())


def read(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    """What was sent, checked. Raises ValidationError."""
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values


def listed(rows: list[Any]) -> dict[str, Any]:
    return {"object": "list", "data": rows}


def missing(what: str, name: str) -> NotFound:
    return NotFound(gettext("There is no %(what)s “%(name)s” here.") % {"what": what, "name": name})


def printable(value: str) -> None:
    if not value.isprintable():
        raise serializers.ValidationError(gettext("Only printable characters."))
