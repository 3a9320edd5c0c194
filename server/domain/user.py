"""A user and the roles there are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a user may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    HOST = "host"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Whether a user of this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class User:
    """A user as the rest of the house knows them; the password stays in the store."""

    id: str
    email: str
    name: str
    role: Role
