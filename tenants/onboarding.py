"""The way from a new key to the first answered call: the page that shows both, and the snippets on it.

The text of a key is in the one response that made it, and nowhere else. What has arrived, analytics.onboarding tells.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tenants.middleware import WorkspaceRequest, find_membership
from tenants.models import Tenant, User

NO_KEY = "nk-your-key"
QUESTION = "How do I make tea?"
MODEL = "gpt-4o-mini"

_CURL = """\
curl {url}/chat/completions \\
  -H "Authorization: Bearer {key}" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "{model}",
       "messages": [{{"role": "user", "content": "{question}"}}]}}'"""
_PYTHON = """\
# pip install openai
from openai import OpenAI

client = OpenAI(
    base_url="{url}",
    api_key="{key}",
)
answer = client.chat.completions.with_raw_response.create(
    model="{model}",
    messages=[{{"role": "user", "content": "{question}"}}],
)
print(answer.headers["x-cache"], answer.parse().choices[0].message.content)"""
_NODE = """\
// npm install openai
import OpenAI from "openai";

const client = new OpenAI({{
  baseURL: "{url}",
  apiKey: "{key}",
}});
const {{ data, response }} = await client.chat.completions
  .create({{
    model: "{model}",
    messages: [{{ role: "user", content: "{question}" }}],
  }})
  .withResponse();
console.log(response.headers.get("x-cache"), data.choices[0].message.content);"""
_LANGCHAIN = """\
# pip install langchain-openai
from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model="{model}",
    base_url="{url}",
    api_key="{key}",
)
print(model.invoke("{question}").content)"""
_ENVIRONMENT = """\
# OpenAI's libraries, and most tools made with them, read these: no code changes.
export OPENAI_BASE_URL="{url}"
export OPENAI_API_KEY="{key}\""""
_SNIPPETS: list[tuple[str, str | Promise, str]] = [
    ("curl", "curl", _CURL),
    ("python", "Python", _PYTHON),
    ("node", "Node", _NODE),
    ("langchain", "LangChain", _LANGCHAIN),
    ("environment", _("Environment"), _ENVIRONMENT),
]


class Snippet(NamedTuple):
    name: str
    label: str | Promise
    text: str


def base_url() -> str:
    return f"{settings.PUBLIC_URL}/v1"


def snippets(key: str) -> list[Snippet]:
    """The same first call in several languages."""
    facts = {"url": base_url(), "key": key or NO_KEY, "model": MODEL, "question": QUESTION}
    return [Snippet(name, label, text.format(**facts)) for name, label, text in _SNIPPETS]


def curl(key: str = "") -> str:
    """The first call, as it is pasted into a shell."""
    return snippets(key)[0].text


def address(tenant: Tenant) -> str:
    return reverse("start", args=[tenant.slug])


def welcome(request: HttpRequest, tenant: Tenant, api_key: str) -> HttpResponse:
    """The page as the answer to what made the key; its own address shows it without the key."""
    if getattr(request, "membership", None) is None:
        membership = find_membership(cast(User, request.user), tenant.slug)
        assert membership is not None, "who is welcomed is a member"
        cast(WorkspaceRequest, request).membership = membership
    return page(request, tenant, api_key=api_key, status=201)


def page(request: HttpRequest, tenant: Tenant, *, api_key: str = "", status: int = 200, **more: object) -> HttpResponse:
    context = {
        "api_key": api_key,
        "base_url": base_url(),
        "snippets": snippets(api_key),
        "address": address(tenant),
        "question": QUESTION,
        "model": MODEL,
        **more,
    }
    return render(request, "tenants/welcome.html", context, status=status)
