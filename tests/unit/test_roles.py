"""The table of roles: what the docs say of it, and what keys may be given."""

from __future__ import annotations

import pytest

from tenants import roles
from tenants.models import Role
from tenants.roles import ADMIN_SCOPE, PEOPLE_ONLY, SCOPES, Action
from tests.servers import ROOT

LINES = (ROOT / "docs" / "roles.md").read_text().splitlines()


def test_the_docs_have_the_same_table() -> None:
    head, _, *rows = [line.strip("|").split("|") for line in LINES if line.startswith("|")]
    assert [cell.strip() for cell in head[1:-1]] == [role.value for role in Role]
    told = {row[0].strip(" `"): [bool(cell.strip()) for cell in row[1:-1]] for row in rows}
    assert told == {action.value: [roles.may(role, action) for role in Role] for action in Action}
    scopes = {row[0].strip(" `") for row in rows if "`" in row[0]}
    assert scopes == SCOPES


@pytest.mark.parametrize("role", Role)
def test_a_key_may_be_given_what_its_maker_may_do(role: Role) -> None:
    given = roles.scopes_of(role) - {ADMIN_SCOPE}
    assert given == {action.value for action in roles.actions_of(role) - PEOPLE_ONLY}
    assert (ADMIN_SCOPE in roles.scopes_of(role)) == (given == SCOPES) == (role in {Role.OWNER, Role.ADMIN})


@pytest.mark.parametrize("action", Action)
def test_admin_is_every_scope_and_no_other_scope_is_two(action: Action) -> None:
    assert roles.does([ADMIN_SCOPE], action)
    assert [scope for scope in SCOPES if roles.does([scope], action)] == (
        [action.value] if action.value in SCOPES else []
    )
    assert not roles.does([], action)


def test_the_owner_may_do_everything() -> None:
    assert roles.actions_of(Role.OWNER) == set(Action)
