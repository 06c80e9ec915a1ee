from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing import leaving, signals  # noqa: F401  connects the receivers
        from billing.stripe import client, configuration, events  # noqa: F401  connects dj-stripe, registers the check

        client.limit_others()
