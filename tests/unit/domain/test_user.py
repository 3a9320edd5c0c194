from __future__ import annotations

from server.domain.user import Role


def test_each_role_may_do_what_the_ones_before_it_may():
    allowed = {(role, other) for role in Role for other in Role if role.includes(other)}
    assert allowed == {
        (Role.VIEWER, Role.VIEWER),
        (Role.HOST, Role.VIEWER),
        (Role.HOST, Role.HOST),
        (Role.ADMIN, Role.VIEWER),
        (Role.ADMIN, Role.HOST),
        (Role.ADMIN, Role.ADMIN),
    }
