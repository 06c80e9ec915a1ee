"""Composition root: settings, ASGI, URLs, Celery, embedded services. Imported by no app."""

from nexus.celery import app as celery_app

__all__ = ["celery_app"]
