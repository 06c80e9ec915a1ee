from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    name = "analytics"

    def ready(self) -> None:
        # They connect the receivers.
        from analytics import demand  # noqa: F401
        from analytics.alerts import signals  # noqa: F401
