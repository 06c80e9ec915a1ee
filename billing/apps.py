from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = _("Billing")

    def ready(self) -> None:
        from billing import contact, leaving, signals  # noqa: F401  connects the receivers
        from billing.stripe import client, configuration, events  # noqa: F401  connects dj-stripe, registers the check

        client.limit_others()
