"""The ways to steal, each as one function: it tries, and says what it got. Nothing said means that the wall holds."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

from gateway.canaries.door import Shut
from gateway.canaries.site import ONLY_CACHED, PARAPHRASE, QUESTION, Site
from gateway.canaries.workspaces import own_model

Probe = Callable[[Site], Iterator[str]]
CHAT = "/v1/chat/completions"
_NAMESPACE = "X-Nexus-Cache-Namespace"


def exact_tier(site: Site) -> Iterator[str]:
    """The very same request, with and without a stream, from the cache or not at all."""
    plain: dict[str, bool] = {}
    for more in (plain, {"stream": True}):
        yield from site.stolen(site.ask("POST", CHAT, site.chat(user=site.end_user, **more), ONLY_CACHED), refused=True)


def semantic_tier(site: Site) -> Iterator[str]:
    """The same in other words, at the lowest threshold that can be asked for."""
    headers = {**ONLY_CACHED, "X-Nexus-Cache-Threshold": "0"}
    yield from site.stolen(site.ask("POST", CHAT, site.chat(PARAPHRASE), headers), refused=True)


def dialects(site: Site) -> Iterator[str]:
    """The same question in each other wire format."""
    model = site.chat()["model"]
    bodies = {
        "/api/chat": {"message": QUESTION, "model": model},
        "/v1/chat": {"prompt": QUESTION, "model": model},
        "/v1/messages": {**site.chat(), "max_tokens": 16},
        "/v1/responses": {"model": model, "input": QUESTION},
    }
    for path, body in bodies.items():
        headers = {**ONLY_CACHED, "anthropic-version": "2023-06-01"}
        yield from site.stolen(site.ask("POST", path, body, headers), refused=True)


def namespaces(site: Site) -> Iterator[str]:
    """The keeper's namespace, by header and in the body, and names that look like a part of its keys."""
    tenant_id = site.keeper.tenant.pk
    for name in (site.namespace, f"t{tenant_id}", f"{{p{tenant_id % 64}}}:t{tenant_id}:x", "*", "../" + site.namespace):
        yield from site.stolen(site.ask("POST", CHAT, site.chat(), {**ONLY_CACHED, _NAMESPACE: name}), refused=True)
    body = site.chat(cache={"namespace": site.namespace})
    yield from site.stolen(site.ask("POST", CHAT, body, ONLY_CACHED), refused=True)


def forged_headers(site: Site) -> Iterator[str]:
    """Headers that some gateways believe."""
    tenant = site.keeper.tenant
    for value in (str(tenant.pk), tenant.slug, tenant.schema_name):
        names = ("X-Tenant-Id", "X-Tenant", "X-Nexus-Tenant", "X-Nexus-Workspace", "X-Org-Id", "OpenAI-Organization",
                 "OpenAI-Project", "X-Forwarded-User", "X-Schema", "X-Original-URL")  # fmt: skip
        headers = {**ONLY_CACHED, **dict.fromkeys(names, value), "X-Forwarded-Host": f"{tenant.slug}.localhost"}
        yield from site.stolen(site.ask("POST", f"{CHAT}?tenant={value}", site.chat(), headers), refused=True)
    body = site.chat(tenant=tenant.slug, tenant_id=tenant.pk, organization=tenant.slug)
    yield from site.stolen(site.ask("POST", CHAT, body, ONLY_CACHED), refused=True)


def mixed_keys(site: Site) -> Iterator[str]:
    """The keeper's public half with the asker's secret, and two keys in one request."""
    mixed = f"nk-{site.keeper.public_id}-{site.asker.key.split('-', 2)[2]}"
    answer = site.ask("POST", CHAT, site.chat(), ONLY_CACHED, key=mixed)
    yield from site.stolen(answer)
    if answer.status not in {401, 429}:
        yield f"a mixed key was not refused but answered {answer.status}"
    headers = {**ONLY_CACHED, "x-api-key": f"nk-{site.keeper.public_id}-"}
    yield from site.stolen(site.ask("POST", CHAT, site.chat(), headers), refused=True)


def tokens(site: Site) -> Iterator[str]:
    """The asker's own token, the same with the keeper's names in it, and one that says it needs no signature."""
    made = site.ask("POST", "/auth/token", {})
    if made.status != 200:
        raise Shut(f"/auth/token answered {made.status}")
    token = str(made.json()["access_token"])
    yield from site.stolen(site.ask("POST", CHAT, site.chat(), ONLY_CACHED, key=token), refused=True)
    head, said, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(said + "=="))
    forged = _encoded({**claims, "sub": site.keeper.public_id, "tid": site.keeper.tenant.pk})
    unsigned = _encoded({"alg": "none", "typ": "JWT"})
    for false in (f"{head}.{forged}.{signature}", f"{unsigned}.{forged}.", f"{unsigned}.{forged}.{signature}"):
        answer = site.ask("POST", CHAT, site.chat(), ONLY_CACHED, key=false)
        yield from site.stolen(answer)
        if answer.status not in {401, 429}:
            yield f"a forged token was not refused but answered {answer.status}"


def _encoded(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def idempotency_key(site: Site) -> Iterator[str]:
    """The keeper's Idempotency-Key with the keeper's body: whoever comes second is given the first one's answer."""
    headers = {**ONLY_CACHED, "Idempotency-Key": site.idempotency_key}
    yield from site.stolen(site.ask("POST", CHAT, site.chat(user=site.end_user), headers), refused=True)


def entry_by_id(site: Site) -> Iterator[str]:
    """The kept answer by its id: read, explained, judged, pinned, dropped."""
    at, managed = f"/v1/cache/{site.entry_id}", f"/api/cache/entries/{site.entry_id}"
    for method, path, body in (
        ("GET", at, None),
        ("GET", f"{at}?request_id={site.request_id}", None),
        ("POST", f"{at}/feedback", {"right": False, "request_id": site.request_id}),
        ("POST", f"{managed}/pin", {}),
        ("POST", f"{managed}/unpin", {}),
        ("DELETE", managed, None),
    ):
        yield from site.stolen(site.ask(method, path, body), refused=True)


def lists(site: Site) -> Iterator[str]:
    """Lists, searches, figures and files of all kinds."""
    for path in (
        f"/api/cache/entries?q={QUESTION.split()[-1]}",
        f"/api/cache/entries?tag={site.nonce}&expired=true",
        f"/api/cache/entries?namespace={site.namespace}",
        "/api/cache/export",
        f"/api/cache/export?namespace={site.namespace}",
        "/api/cache/stats",
        "/api/usage/records",
        "/v1/usage/costs?group_by=tag",
        "/v1/admin/metrics",
        "/v1/models",
    ):
        answer = site.ask("GET", path)
        yield from site.stolen(answer)
        if any(named in answer.all for named in (site.request_id, site.keeper.tenant.slug)):
            yield f"{path} names what is the keeper's"


def explain(site: Site) -> Iterator[str]:
    """What a question would be compared with."""
    for headers in ({}, {_NAMESPACE: site.namespace}):
        answer = site.ask("POST", "/api/routing/explain", site.chat(PARAPHRASE), headers)
        yield from site.stolen(answer)
        near = ((answer.json().get("cache") or {}).get("semantic") or {}).get("nearest")
        if near:
            yield f"a question of the keeper's is near: {len(near)}"


def taking_away(site: Site) -> Iterator[str]:
    """Invalidating and erasing by the keeper's names counts nothing, and takes nothing: the keeper looks."""
    for body in (
        {"tag": site.nonce},
        {"namespace": site.namespace},
        {"entry": site.entry_id},
        {"end_user": site.end_user},
        {"text": "password"},
        {"all": True, "pinned": True},
    ):
        answer = site.ask("POST", "/api/cache/invalidate", body)
        yield from site.stolen(answer)
        if answer.status == 200 and answer.json()["count"]:
            yield f"entries went by {next(iter(body))}: {answer.json()['count']}"
    answer = site.ask("POST", "/api/erase", {"end_user": site.end_user})
    if answer.status == 200 and any(answer.json()[name] for name in ("cache_entries", "samples", "replays", "records")):
        yield "an end user of the keeper's was erased"


def bringing_in(site: Site) -> Iterator[str]:
    """The keeper's export in the asker's hands: an answer put under the keeper's own digests stays the asker's."""
    row = {"request": site.chat(), "answer": "poisoned", "namespace": site.namespace, "ttl_s": 60}
    site.ask("POST", "/api/cache/import", [row])
    answer = site.keep(
        "POST", CHAT, site.chat(), X_Nexus_Cache_Namespace=site.namespace, Cache_Control="only-if-cached"
    )
    if site.secret not in answer.text:
        yield "what the asker brought in is given to the keeper"


def providers_and_routes(site: Site) -> Iterator[str]:
    """The keeper's provider and its model by their names."""
    name = site.keeper.tenant.slug
    yield from site.stolen(site.ask("POST", CHAT, {**site.chat(), "model": f"{name}/{own_model(name)}"}), refused=True)
    yield from site.stolen(site.ask("GET", f"/api/providers/{name}"), refused=True)


def pages(site: Site) -> Iterator[str]:
    """The keeper's pages, with an API key for a session."""
    for page in ("", "requests/", "cache/entries/", f"cache/entries/{site.entry_id}/", "settings/audit.jsonl"):
        path = f"/t/{site.keeper.tenant.slug}/{page}"
        yield from site.stolen(site.ask("GET", path, None, {"X-Api-Key": site.asker.key}), refused=True)


def sockets(site: Site) -> Iterator[str]:
    """The same question over a WebSocket, and the keeper's live figures without a session."""
    message = {"message": PARAPHRASE, "model": site.chat()["model"], "cache": {"no-cache": False}}
    heard = site.door.talk("/ws/chat", message, ("nexus", site.asker.key))
    if site.secret in heard or '"HIT' in heard:
        yield "a WebSocket gave the keeper's answer"
    live = site.door.talk(f"/ws/t/{site.keeper.tenant.slug}/live/")
    if "{" in live:
        yield "the keeper's live figures were shown"


def as_an_app_would(site: Site) -> Iterator[str]:
    """Asked without any tricks, so that a provider answers; last, since then the asker has an answer of its own."""
    answer = site.ask("POST", CHAT, site.chat(user=site.end_user))
    yield from site.stolen(answer)
    if answer.status != 200:
        raise Shut(f"the asker's own call was answered {answer.status}: {answer.text[:120]}")


# In this order. The asker's own question over a WebSocket is answered, and so kept: what comes after it asks others.
PROBES: dict[str, Probe] = {
    probe.__name__: probe
    for probe in (
        exact_tier,
        semantic_tier,
        dialects,
        namespaces,
        forged_headers,
        mixed_keys,
        tokens,
        idempotency_key,
        entry_by_id,
        lists,
        explain,
        providers_and_routes,
        pages,
        taking_away,
        bringing_in,
        as_an_app_would,
        sockets,
    )
}
