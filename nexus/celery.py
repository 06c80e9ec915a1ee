"""The Celery application. Tasks live in each app's `tasks.py`; the beat schedule is in settings."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexus.settings")

app = Celery("nexus")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def leave_logging_alone(**_: Any) -> None:
    """Django's settings have said how: that somebody listens here keeps Celery from its own."""


setup_logging.connect(leave_logging_alone)

# Its signals, once there is an application.
from nexus import sign_of_life, task_log, task_traces  # noqa: E402, F401
