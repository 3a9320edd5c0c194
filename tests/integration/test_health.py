"""`dropcast health` and a real replica, as a supervisor sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.services.mariadb import MariaDB
from tests.services.process import eventually
from tests.services.replica import Replica, run_command


def test_health_is_true_of_a_replica_that_serves_and_ready_says_why_it_is_not(
    shop_settings: dict[str, str], start_replica: Callable[[Mapping[str, str]], Replica], mariadb: MariaDB
) -> None:
    assert run_command(["init-db"], shop_settings).returncode == 0
    replica = start_replica(shop_settings)
    where = {**shop_settings, "DROPCAST_BIND": replica.host}

    def asked(*words: str) -> tuple[int, str]:
        done = run_command(["health", *words], where)
        return done.returncode, done.stdout + done.stderr

    assert asked() == (0, f'{replica.host} /livez: {{"status":"alive"}}\n')
    assert asked("--ready")[0] == 0
    mariadb.kill()
    assert eventually(lambda: asked("--ready")[0] == 1, within_s=15)
    assert asked("--ready")[1].startswith(f'dropcast: {replica.host} /readyz: 503 {{"status":"unready"')
    assert asked()[0] == 0  # nothing that a restart would mend
    replica.kill()
    assert asked()[0] == 1
