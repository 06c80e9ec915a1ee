"""Calls to the management API: through Django's test client, where no running gateway is needed."""

from __future__ import annotations

import json
from typing import Any

from allauth.account.models import EmailAddress
from django.test import Client

from tenants import revocations
from tenants.models import ApiKey, AuditEvent
from tests.conftest import Workspace

API_KEY = "sk-very-secret-credential"


def manages(workspace: Workspace) -> Workspace:
    """Gives the workspace's key the scope “admin”."""
    ApiKey.objects.filter(pk=workspace.api_key.pk).update(scopes=["admin"])
    revocations.publish(f"key:{workspace.api_key.public_id}")
    return workspace


def confirm(workspace: Workspace) -> None:
    """Its owner has followed the link that went to the address."""
    EmailAddress.objects.create(user=workspace.owner, email=workspace.owner.email, verified=True, primary=True)


def call(workspace: Workspace | None, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """`body`: what is sent as JSON, or a text that is sent as it is. The answer's envelope is checked."""
    if workspace is not None:
        headers = {"Authorization": f"Bearer {workspace.key}", **headers}
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    content = {} if body is None else {"data": text, "content_type": "application/json"}
    answer = getattr(Client(), method.lower())(path, headers=headers, **content)
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert error["message"] and set(error) == {"message", "type", "param", "code"}
    return answer


def refused(answer: Any, status: int, param: str | None = None) -> str:
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param), error
    return str(error["message"])


def made(workspace: Workspace, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = call(workspace, "POST", path, body)
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def audited(workspace: Workspace) -> list[AuditEvent]:
    return [
        event
        for event in AuditEvent.objects.filter(tenant=workspace.tenant).order_by("at", "pk")
        if event.actor_label == str(workspace.api_key)
    ]


def provider_of(name: str = "own", **fields: Any) -> dict[str, Any]:
    return {"name": name, "kind": "openai", "base_url": "https://api.example.com/v1", "api_key": API_KEY, **fields}


def route_of(model: str = "house", *targets: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": model, "targets": list(targets) or [{"provider": "own", "model": "gpt-4o-mini"}], **fields}
