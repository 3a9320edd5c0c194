"""Users: names and roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette_admin import BaseField, EmailField, EnumField, StringField

from admin_ui.fields import Happened, Text, Time, refuse
from admin_ui.rows import UserRow
from admin_ui.trail import actor_of, connection_of
from admin_ui.views import View, words
from server.domain.user import Role
from server.store.users import another_admin


class UserView(View):
    """Users. Name and role can be edited; accounts are made by `dropcast create-user` or registration."""

    table = UserRow
    searched = (UserRow.name, UserRow.email)
    key, menu_label, display_name, icon = "user", "Users", "User", "fa-solid fa-users"
    may_edit = True

    def columns(self) -> Sequence[BaseField]:
        """The fields; the password hash is not even loaded."""
        return (
            StringField("id", exclude_from_list=True),
            Text("name", required=True, maxlength=100),
            EmailField("email", exclude_from_edit=True),
            EnumField(
                "role",
                required=True,
                choices=words(Role),
                help_text="viewer buys; host also runs streams and drops; admin also comes in here.",
            ),
            Happened(
                "disabled_at",
                "Disabled",
                help_text="Signs the user out everywhere and lets them in no more.",
            ),
            Time("created_at", "Created", exclude_from_edit=True),
        )

    async def edit(self, request: Request, pk: Any, data: dict[str, Any]) -> Any:
        """Raises when an admin would lock themselves out, or the role is none of ours."""
        if data["role"] not in list(Role):
            raise refuse("role", "Choose one of the roles.")
        if str(pk) == actor_of(request).id and data["role"] != Role.ADMIN:
            raise refuse("role", "You cannot take the admin role from yourself: ask another admin.")
        if str(pk) == actor_of(request).id and data["disabled_at"]:
            raise refuse("disabled_at", "You cannot disable yourself: ask another admin.")
        leaves = data["role"] != Role.ADMIN or data["disabled_at"]
        if leaves and not await another_admin(await connection_of(request), str(pk)):
            # of two admins who send each other away at once the second comes here
            raise refuse("role", "Nobody else could sign in as an admin: make somebody else an admin first.")
        row = await self.find_by_pk(request, pk)
        since = row.disabled_at if row is not None else None
        if data["disabled_at"] and since is None:
            since = await self._database.now_ms(await connection_of(request))
        # the form says whether, the column since when
        return await super().edit(request, pk, data | {"disabled_at": since if data["disabled_at"] else None})
