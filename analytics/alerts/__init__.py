"""Who is told when something needs a person: alert kinds, rules, history, and delivery by email and webhook."""

from analytics.alerts.raising import raise_alert

__all__ = ["raise_alert"]
