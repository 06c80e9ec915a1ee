"""Every page there is: opened in a browser, with data and without, it has no fault that a browser can find.

With `-rP` each is in a table with its requests and bytes: `bin/test tests/browser/test_every_page.py -rP`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, ViewportSize, expect

from tenants import navigation
from tenants.models import User
from tenants.roles import Action
from tests import every_page
from tests.browser.conftest import apart, chromium, severe
from tests.conftest import PASSWORD, Workspace, new_workspace
from tests.every_page import ADMIN, SECTIONS, Look
from tests.filled import Filled, fill, session_of
from tests.pages import as_user
from tests.paying import Payments, payments

WIDTHS = (360, 2560, 1280)
PHONE: ViewportSize = {"width": 390, "height": 844}
LookAt = Callable[..., None]
# Of a page that a browser opens for the first time, with all it needs: bytes as they come, compressed.
MOST_REQUESTS, MOST_BYTES = 16, 120_000
# A list of fifty rows; in a whole run, other tests fill it.
ADMIN_REQUESTS, ADMIN_BYTES = 40, 1_600_000
TRIES = 6
LOGINS = {"NEXUS_GOOGLE_CLIENT_ID": "an-id", "NEXUS_GOOGLE_CLIENT_SECRET": "a-secret"}


@pytest.fixture(scope="module")
def paid(database: None) -> Iterator[Payments]:
    with payments(**LOGINS) as made:
        yield made


@pytest.fixture(scope="module")
def filled(paid: Payments) -> Filled:
    made: Filled = apart(fill, paid)
    return made


@pytest.fixture(scope="module")
def empty(paid: Payments) -> Workspace:
    made: Workspace = apart(new_workspace, "free")
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Person:
    """One browser in which pages are opened one after another, each as if for the first time."""

    def __init__(self, context: BrowserContext) -> None:
        self.page = context.new_page()
        self.also_on_a_phone = True
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._note)
        self.bytes: dict[str, int] = {}
        network = context.new_cdp_session(self.page)
        network.on("Network.requestWillBeSent", lambda sent: self._count(sent["requestId"], sent["request"]["url"]))
        network.on("Network.loadingFinished", lambda done: self._add(done["requestId"], done["encodedDataLength"]))
        network.send("Network.enable")
        network.send("Network.setCacheDisabled", {"cacheDisabled": True})

    def _note(self, line: ConsoleMessage) -> None:
        # Chromium calls a page an error that answers 404 as it should.
        if line.type == "error" and line.location["url"].partition("#")[0] != self.page.url:
            self.errors.append(line.text)

    def _count(self, request: str, url: str) -> None:
        if url.startswith("http"):
            self.bytes.setdefault(request, 0)

    def _add(self, request: str, size: float) -> None:
        if request in self.bytes:
            self.bytes[request] += int(size)

    def open(self, look: Look) -> tuple[list[str], int, int]:
        """What is wrong with a page; how many requests and bytes it took."""
        self.errors.clear()
        self.bytes.clear()
        answer = self.page.goto(look.path)
        assert answer is not None
        faults = [] if answer.status == look.status else [f"answers {answer.status}"]
        if (answer.request.redirected_from is not None) != look.leads_on:
            faults.append(f"is shown at {self.page.url}")
        faults += self.too_wide()
        # Those of pages that ask for more once they are there are among them.
        requests, size = len(self.bytes), sum(self.bytes.values())
        return [*faults, *self.inaccessible(), *self.errors], requests, size

    def inaccessible(self) -> Iterator[str]:
        """At a desk; and on a phone, where menus and tables of ours are drawn in another way."""
        yield from severe(self.page)
        if self.also_on_a_phone and self.page.locator("table, nav").count():
            self.page.set_viewport_size(PHONE)
            yield from (f"{fault} on a phone" for fault in severe(self.page))

    def too_wide(self) -> Iterator[str]:
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            if self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                yield f"is wider than {width} px"


@pytest.fixture
def meet(paid: Payments, browser: Browser) -> Iterator[Callable[[User | None], Person]]:
    """`meet(user)`: somebody who is logged in, or a stranger."""
    contexts = []

    def come(user: User | None) -> Person:
        context = browser.new_context(base_url=paid.gateway)
        contexts.append(context)
        if user is not None:
            name, value = settings.SESSION_COOKIE_NAME, apart(session_of, user)
            context.add_cookies([{"name": name, "value": value, "url": paid.gateway}])
        return Person(context)

    yield come
    for context in contexts:
        context.close()


@pytest.fixture
def look_at(meet: Callable[[User | None], Person]) -> LookAt:
    """`look_at(looks, user)`: none of these pages has a fault."""

    def open_all(
        looks: Iterable[Look],
        user: User | None = None,
        most: tuple[int, int] = (MOST_REQUESTS, MOST_BYTES),
        *,
        also_on_a_phone: bool = True,
    ) -> None:
        person, wrong = meet(user), []
        person.also_on_a_phone = also_on_a_phone
        for look in looks:
            faults, requests, size = person.open(look)
            print(f"| {look.place} | `{look.path}` | {requests} | {size / 1000:.0f} KB |")
            if requests > most[0] or size > most[1]:
                faults.append(f"{requests} requests, {size} bytes")
            if look.place == "docs":
                # What Swagger UI weighs, and how its rows are made, is not ours to say.
                faults = [fault for fault in faults if not fault.startswith(("nested-interactive", f"{requests} req"))]
            wrong += [f"{look.path}: {fault}" for fault in faults]
        assert wrong == []

    return open_all


@pytest.mark.parametrize("section", SECTIONS)
def test_a_workspaces_pages_with_data(section: str, filled: Filled, look_at: LookAt) -> None:
    workspace = filled.workspace
    look_at(every_page.looks_at(section, workspace.tenant.slug, filled.parts), workspace.owner)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_workspaces_pages_without_data(section: str, empty: Workspace, look_at: LookAt) -> None:
    look_at(every_page.looks_at(section, empty.tenant.slug, None), empty.owner, also_on_a_phone=False)


def test_the_pages_of_who_may_only_look(filled: Filled, look_at: LookAt) -> None:
    """The first of each section; what is said of a page that is not for them, and of a request that there is not."""
    slug = filled.workspace.tenant.slug
    firsts = [
        every_page.named(section.url_name, slug) for section in navigation.SECTIONS if section.action is Action.FIGURES
    ]
    others = [every_page.named("key-new", slug, status=403), every_page.named("request", slug, "no-such", status=404)]
    look_at([*firsts, *others], filled.viewer)


def test_a_strangers_pages(filled: Filled, look_at: LookAt) -> None:
    look_at(every_page.for_strangers(filled))


def test_the_pages_of_an_account(filled: Filled, look_at: LookAt) -> None:
    look_at(every_page.of_plain_account(filled), filled.plain)


def test_the_pages_of_an_account_with_all_that_protects_it(filled: Filled, look_at: LookAt) -> None:
    look_at(every_page.of_guarded_account(filled), filled.guarded)


def test_the_pages_of_an_account_without_a_password(filled: Filled, look_at: LookAt) -> None:
    look_at(every_page.of_account_without_password(filled), filled.without_password)


def test_the_operators_pages(filled: Filled, look_at: LookAt) -> None:
    look_at(every_page.of_operators(filled), filled.operator, (ADMIN_REQUESTS, ADMIN_BYTES), also_on_a_phone=False)


@pytest.mark.parametrize("app_label", ADMIN)
def test_the_operators_pages_of_models(app_label: str, filled: Filled, look_at: LookAt) -> None:
    looks = apart(lambda: list(every_page.of_models(app_label, filled.operator)))
    look_at(looks, filled.operator, (ADMIN_REQUESTS, ADMIN_BYTES), also_on_a_phone=False)


def test_the_second_factor_and_the_page_of_who_tries_too_often(
    filled: Filled, meet: Callable[[User | None], Person]
) -> None:
    stranger = meet(None)
    page = stranger.page
    page.goto("/login/")
    page.get_by_label("Email").fill(filled.guarded.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="The second factor")).to_be_visible()
    assert [*stranger.too_wide(), *stranger.inaccessible(), *stranger.errors] == []
    for _ in range(TRIES):
        page.get_by_label("Code").fill("000000")
        page.locator("main").get_by_role("button", name="Log in").click()
    expect(page.get_by_role("main")).to_contain_text("Too many failed login attempts")
    assert [*stranger.too_wide(), *stranger.inaccessible(), *stranger.errors] == []


def test_every_address_is_a_page_that_is_opened_or_has_a_reason_not_to_be(filled: Filled, paid: Payments) -> None:
    there = {place.name: place for place in every_page.places()}
    opened = {look.place for look in apart(lambda: list(every_page.of_all(filled)))}
    others = every_page.POST_ALONE.union(*every_page.NO_PAGES.values())
    assert [name for name in there if name not in opened | others and not every_page.is_of_model(name)] == []
    # A reason whose address has gone.
    assert others - set(there) == set()


def test_what_is_for_forms_alone_opens_as_no_page(filled: Filled, paid: Payments) -> None:
    places = [place for place in every_page.places() if place.name in every_page.POST_ALONE]
    opened = []
    for user, is_operator in ((filled.operator, True), (filled.workspace.owner, False)):
        with apart(as_user, paid.gateway, user) as client:
            for place in places:
                if place.route.startswith("admin/") == is_operator:
                    answer = client.get(place.path(filled.workspace.tenant.slug))
                    opened += [place.name] if answer.status_code != 405 else []
    assert opened == []
