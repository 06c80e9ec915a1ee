"""Paths of a workspace's settings, of what an invitation's link leads to, and of making another workspace."""

from __future__ import annotations

from django.urls import path

from tenants.pages import audit, invited, team, workspace

_SETTINGS = "t/<slug:slug>/settings/"

urlpatterns = [
    path("workspaces/new", workspace.new_workspace, name="new_workspace"),
    path("invitations/<str:token>", invited.invited, name="invitation"),
    path(_SETTINGS, team.team, name="settings"),
    path(f"{_SETTINGS}invite", team.invite, name="invite"),
    path(f"{_SETTINGS}invitations/<int:id>/again", team.send_again, name="invitation-again"),
    path(f"{_SETTINGS}invitations/<int:id>/withdraw", team.withdraw, name="invitation-withdraw"),
    path(f"{_SETTINGS}members/<int:id>/", team.member, name="member"),
    path(f"{_SETTINGS}members/<int:id>/remove", team.remove, name="member-remove"),
    path(f"{_SETTINGS}leave", team.leave, name="leave"),
    path(f"{_SETTINGS}transfer", team.transfer, name="transfer"),
    path(f"{_SETTINGS}roles", workspace.roles_table, name="roles"),
    path(f"{_SETTINGS}workspace", workspace.workspace, name="workspace"),
    path(f"{_SETTINGS}retention", workspace.retention, name="retention"),
    path(f"{_SETTINGS}support", workspace.support_access, name="support-access"),
    path(f"{_SETTINGS}delete", workspace.delete, name="workspace-delete"),
    path(f"{_SETTINGS}audit", audit.audit, name="audit"),
]
