"""A chat request as code that an app can begin with: curl, Python, Node. Pure."""

from __future__ import annotations

import json
import shlex
from typing import Any, NamedTuple


class Snippet(NamedTuple):
    name: str
    label: str
    text: str


def snippets(url: str, key: str, body: dict[str, Any], headers: dict[str, str]) -> list[Snippet]:
    """`body` is that of Chat Completions, `headers` what it has beside the key."""
    return [
        Snippet("curl", "curl", _curl(url, key, body, headers)),
        Snippet("python", "Python", _python(url, key, body, headers)),
        Snippet("node", "Node", _node(url, key, body, headers)),
    ]


def _text(value: Any) -> str:
    """A JSON text is one of Python and of JavaScript, too."""
    return json.dumps(value, ensure_ascii=False)


def _curl(url: str, key: str, body: dict[str, Any], headers: dict[str, str]) -> str:
    lines = [f"curl {shlex.quote(f'{url}/chat/completions')}"]
    all_headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers}
    lines += [f'-H "{name}: {value}"' for name, value in all_headers.items()]
    lines.append(f"-d {shlex.quote(json.dumps(body, ensure_ascii=False, indent=2))}")
    return " \\\n  ".join(lines)


def _python(url: str, key: str, body: dict[str, Any], headers: dict[str, str]) -> str:
    stream = bool(body.get("stream"))
    lines = [f"model={_text(body['model'])},", "messages=["]
    lines += [f"    {_text(message)}," for message in body["messages"]]
    lines.append("],")
    rest = {name: value for name, value in body.items() if name not in ("model", "messages", "stream")}
    lines += [f"{name}={_text(value)}," for name, value in rest.items()]
    if stream:
        lines.append("stream=True,")
    if headers:
        lines.append(f"extra_headers={_text(headers)},")
    inner = "\n".join(f"    {line}" for line in lines)
    after = (
        'for chunk in answer:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or "", end="")'
        if stream
        else "print(answer.choices[0].message.content)"
    )
    return (
        "# pip install openai\nfrom openai import OpenAI\n\n"
        f"client = OpenAI(base_url={_text(url)}, api_key={_text(key)})\n"
        f"answer = client.chat.completions.create(\n{inner}\n)\n{after}"
    )


def _node(url: str, key: str, body: dict[str, Any], headers: dict[str, str]) -> str:
    given = json.dumps(body, ensure_ascii=False, indent=2)
    more = f", {{ headers: {_text(headers)} }}" if headers else ""
    after = (
        'for await (const chunk of answer) {\n  process.stdout.write(chunk.choices[0]?.delta.content ?? "");\n}'
        if body.get("stream")
        else "console.log(answer.choices[0].message.content);"
    )
    return (
        '// npm install openai\nimport OpenAI from "openai";\n\n'
        f"const client = new OpenAI({{ baseURL: {_text(url)}, apiKey: {_text(key)} }});\n"
        f"const answer = await client.chat.completions.create({given}{more});\n{after}"
    )
