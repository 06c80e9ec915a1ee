"""A Stripe that lives in one process and moves no money: the API, webhooks, hosted pages, and a clock of its own.

`tests.fakes.stripe:application` is served by uvicorn. `docs/fake-stripe.md` says how to use it. `server` takes a
request in, `routes` names what answers it, `account` keeps all that there is, `clock` lets time pass.
"""

from tests.fakes.stripe.server import application

__all__ = ["application"]
