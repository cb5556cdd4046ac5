"""The server on PostgreSQL: many threads, and several processes."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from headrace.testing.server import running_server, server_process

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def on_postgresql(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SERVER_DATABASE_CONNECTION_URL", postgres_url)


def create_at_once(url: str) -> Counter[int]:
    """Create one flow and one keyed run from many clients at once; return how many of each status there were."""

    def create(_: int) -> tuple[int, int]:
        with httpx.Client(base_url=url, timeout=60) as http:
            flow = http.post("/flows/", json={"name": "shared"})
            run = http.post("/flow_runs/", json={"flow_id": flow.json()["id"], "idempotency_key": "one"})
            return flow.status_code, run.status_code

    with ThreadPoolExecutor(8) as clients:
        return Counter(status for pair in clients.map(create, range(24)) for status in pair)


def test_what_many_create_at_once_is_there_once() -> None:
    with running_server() as url:
        assert create_at_once(url) == {201: 2, 200: 46}
        assert httpx.post(f"{url}/flow_runs/count").json() == 1


def test_several_processes_answer_at_one_port() -> None:
    with server_process("--workers", "2") as server:
        assert create_at_once(server.url) == {201: 2, 200: 46}
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/block_types/", {"name": "T", "slug": "t"}, "already exists"),
        ("/work_pools/", {"name": "p", "type": "process"}, "already exists"),
        ("/variables/", {"name": "v", "value": 1}, "already exists"),
    ],
)
def test_what_many_name_alike_is_made_once_and_the_others_hear_that_it_exists(path: str, body: dict[str, object], said: str) -> None:
    with server_process("--workers", "2") as server, ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(lambda _: httpx.post(f"{server.url}{path}", json=body, timeout=60), range(24)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 23}
    assert all(said in answer.json()["detail"] for answer in answers if answer.status_code == 409), {answer.text for answer in answers}
