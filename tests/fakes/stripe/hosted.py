"""What a browser gets: the checkout page, the billing portal, an invoice as page and PDF."""

from __future__ import annotations

import urllib.parse
from typing import Any

from tests.fakes.http import send_bytes
from tests.fakes.stripe import checkout, pages, pdf, portal
from tests.fakes.stripe.account import Account
from tests.fakes.stripe.coupons import find_promotion_code
from tests.fakes.stripe.faults import Fault, Object
from tests.fakes.stripe.periods import day_text

_HTML = b"text/html; charset=utf-8"
NOT_FOUND = "<h1>Nothing here</h1><p>The fake forgets everything when it is started anew.</p>"


async def answer(account: Account, scope: Object, body: bytes, send: Any) -> None:
    filled = {name: value.strip() for name, value in urllib.parse.parse_qsl(body.decode("utf-8", "replace"))}
    match scope["path"].strip("/").split("/"):
        case ["c", "pay", id_] if _is(account, id_, "checkout.session"):
            await _checkout(account, account.objects[id_], scope["method"], filled, send)
        case ["p", "session", id_] if _is(account, id_, "billing_portal.session"):
            await _portal(account, account.objects[id_], scope["method"], filled, send)
        case ["i", id_, token, *rest] if account.notes.get(id_, {}).get("token") == token and rest in ([], ["pdf"]):
            await _invoice(account.objects[id_], send, as_pdf=bool(rest))
        case _:
            await send_bytes(send, 404, pages.document("Nothing here", NOT_FOUND), content_type=_HTML)


def _is(account: Account, id_: str, kind: str) -> bool:
    return (account.find(id_) or {}).get("object") == kind


async def _checkout(account: Account, session: Object, method: str, filled: Object, send: Any) -> None:
    if session["status"] == "complete" and method == "POST":
        return await _go(send, _success_url(session))
    if session["status"] != "open":
        return await send_bytes(send, 410, pages.closed_page(session), content_type=_HTML)
    error, status = None, 200
    if method == "POST":
        try:
            return await _go(send, _success_url(checkout.pay(account, session["id"], filled)))
        except Fault as fault:
            # The refused attempt has left no trace: the session is another copy of itself now.
            session = account.get("checkout.session", session["id"])
            error, status = str(fault), fault.status
            _show_discount(account, session, filled)
    await send_bytes(send, status, pages.checkout_page(account, session, filled, error), content_type=_HTML)


def _show_discount(account: Account, session: Object, filled: Object) -> None:
    """A good code stays visible in the total while another field is corrected."""
    code = find_promotion_code(account, filled.get("promotion_code", ""))
    if code and account.notes[session["id"]]["given"].get("allow_promotion_codes"):
        checkout.set_discount(session, account.objects[code["promotion"]["coupon"]])


def _success_url(session: Object) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


async def _go(send: Any, url: str) -> None:
    await send_bytes(send, 303, b"", (b"location", url.encode()), content_type=_HTML)


async def _portal(account: Account, session: Object, method: str, filled: Object, send: Any) -> None:
    error = None
    if method == "POST":
        try:
            _do(account, session, filled)
        except Fault as fault:
            error = str(fault)
            session = account.get("billing_portal.session", session["id"])
        else:
            after = (session["flow"] or {}).get("after_completion", {}).get("redirect")
            return await _go(send, after["return_url"] if after else session["url"])
    page = pages.portal_page(account, session, error)
    await send_bytes(send, 402 if error else 200, page, content_type=_HTML)


def _do(account: Account, session: Object, filled: Object) -> None:
    subscription = filled.get("subscription", "")
    match filled.get("action"):
        case "card":
            portal.set_card(account, session, filled.get("card", ""))
        case "details":
            portal.set_details(account, session, filled)
        case "change":
            portal.change_price(account, session, subscription, filled.get("price", ""))
        case "cancel":
            portal.cancel(account, session, subscription)
        case "resume":
            portal.resume(account, session, subscription)
        case "pay":
            portal.retry(account, session, filled.get("invoice", ""))


async def _invoice(invoice: Object, send: Any, *, as_pdf: bool) -> None:
    if not as_pdf:
        return await send_bytes(send, 200, pages.invoice_page(invoice), content_type=_HTML)
    head = ["Fake Stripe, no money moves", "", f"Invoice {invoice['number']}  {day_text(invoice['created'])}"]
    head += [f"For {invoice['customer_email'] or invoice['customer']}  ({invoice['status']})", ""]
    made = pdf.page([*head, *(f"{text}:  {amount}" for text, amount in pages.invoice_rows(invoice))])
    name = f'inline; filename="Invoice-{invoice["number"]}.pdf"'.encode()
    await send_bytes(send, 200, made, (b"content-disposition", name), content_type=b"application/pdf")
