"""`manage.py tenant_delete SLUG --yes-slug SLUG`: a workspace for good, as its owner would delete it."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from redis.exceptions import RedisError

from billing.models import MeterReport, Subscription
from tenants import audit, deletion
from tenants.models import Tenant
from tenants.signals import tenant_ending

BY = audit.By(actor_label="manage.py tenant_delete")


class Command(BaseCommand):
    help = (
        "Deletes a workspace: its schema, keys, members, and what Redis has of it. Its ledger stays, without a name."
        " What was cut off is finished by the worker."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--yes-slug", required=True, metavar="SLUG", help="the same once more")
        parser.add_argument(
            "--force",
            action="store_true",
            help="end its subscription at Stripe now, and write off the rest",
        )
        parser.add_argument(
            "--moved", action="store_true", help="it lives on elsewhere: it must be frozen, and Stripe is left alone"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["yes_slug"] != options["slug"]:
            raise CommandError("--yes-slug is not the same slug. Nothing was deleted.")
        tenant = Tenant.objects.filter(slug=options["slug"]).first()
        if tenant is None:
            raise CommandError(f"There is no workspace “{options['slug']}”.")
        if options["moved"]:
            if tenant.moving_since is None:
                raise CommandError(f"{tenant.slug} is not frozen, so it was not moved. Nothing was deleted.")
        elif (due := _due(tenant)) and not options["force"]:
            raise CommandError(f"{tenant.slug}: {due}. Nothing was deleted; --force deletes it all the same.")
        name, number = tenant.slug, tenant.pk
        try:
            if not options["moved"]:
                tenant_ending.send(Tenant, tenant=tenant, by=BY)
            deletion.delete(tenant, **BY)
        except deletion.StillBound as error:
            raise CommandError(f"{error} Nothing was deleted.") from error
        except (OperationalError, RedisError) as error:
            raise CommandError(f"{error} What is left is deleted by the worker.") from error
        self.stdout.write(f"{name} is deleted. In the ledger it is tenant {number}.")


def _due(tenant: Tenant) -> str:
    """Money that is still to come."""
    subscription = Subscription.objects.get(tenant=tenant)
    if subscription.is_stripes:
        return f"its subscription is {subscription.get_status_display().lower()} at Stripe"
    unsent = MeterReport.objects.filter(tenant=tenant, billable=True, sent_at=None).count()
    return f"{unsent} reports of its use are not with Stripe yet" if unsent else ""
