"""What `bin/up` prints when all is ready: where to look, how to log in, and lines that work when pasted."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from nexus.instance import Instance, read_env_file
from nexus.preflight import Trouble

JSON_HEADER = "'Content-Type: application/json'"


def text(instance: Instance, environment: dict[str, str], *, stop_with: str) -> str:
    demo = instance.var / "demo.env"
    if not demo.exists():
        raise Trouble(f"The demo step left no {demo}: delete {instance.var} to begin again, or look at its log folder.")
    return f"{render(read_env_file(demo), environment, instance.logs)}\n{stop_with} stops everything.\n"


def render(demo: dict[str, str], environment: dict[str, str], logs: Path) -> str:
    url, key = demo["NEXUS_URL"], demo["NEXUS_API_KEY"]
    if environment.get("OPENAI_API_KEY"):
        provider = environment.get("OPENAI_BASE_URL") or "OpenAI"
    else:
        provider = "simulated, and labelled so everywhere; set OPENAI_API_KEY for a real one"
    register = f"curl -s {url}/api/register -H {JSON_HEADER} -d {quoted({'email': 'you@example.com'})}"
    return f"""
NexusGateway is ready.

  Dashboard  {url}/
  Login      {demo["NEXUS_LOGIN_EMAIL"]}
  Password   {demo["NEXUS_LOGIN_PASSWORD"]}
  API key    {key}
  Provider   {provider}
  Logs       {logs}

Paste these into another terminal:

# A question; a first time it goes to the provider (X-Cache: MISS)
{chat(url, key, "How do I make tea?")}

# The same again, from the cache (X-Cache: HIT-EXACT)
{chat(url, key, "How do I make tea?")}

# The same in other words (X-Cache: HIT-SEMANTIC)
{chat(url, key, "Recipe for tea")}

# As a stream
{chat(url, key, "Name three teas.", stream=True)}

# A workspace of your own, with its key
{register}
"""


def chat(url: str, key: str, question: str, *, stream: bool = False) -> str:
    body: dict[str, object] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}]}
    if stream:
        body["stream"] = True
    flags = "-sN" if stream else "-si"
    headers = f"-H 'Authorization: Bearer {key}' -H {JSON_HEADER}"
    return f"curl {flags} {url}/v1/chat/completions {headers} -d {quoted(body)}"


def quoted(body: dict[str, object] | dict[str, str]) -> str:
    return shlex.quote(json.dumps(body))
