"""Flows against a server that dies in the worst moments, and a server whose client dies."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from headrace.testing.server import server_process
from scenarios.conftest import Scripts

pytestmark = pytest.mark.scenario

WAIT_SECONDS = 60.0

BLOCKING = """
    import sys, time
    from headrace import flow, task

    @task
    def work(number):
        time.sleep(0.02)
        return number

    @flow(flow_run_name="{name}")
    def many():
        return sum(work(number) for number in range(100))

    print(many())
"""

ASYNC = """
    import asyncio
    from headrace import flow, task

    @task
    async def work(number):
        await asyncio.sleep(0.02)
        return number

    @flow(flow_run_name="{name}")
    async def many():
        first = sum([await work(number) for number in range(50)])
        return first + sum(await asyncio.gather(*(work(number) for number in range(50, 100))))

    print(asyncio.run(many()))
"""

ENDLESS = """
    import time
    from headrace import flow, task

    @task
    def wait():
        print("waiting", flush=True)
        time.sleep(600)

    @flow(flow_run_name="doomed")
    def endless():
        wait()

    endless()
"""


class Line:
    """The one address that clients know: connections go on to the server that is there, and an answer may be lost on the way.

    Of every second request that sets a state the answer does not arrive: the server has done it, and then is killed and started again.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._loop = asyncio.new_event_loop()
        self._asked = 0
        self.lost = 0
        self.url = ""

    @contextmanager
    def running(self) -> Generator[None, None, None]:
        ready = threading.Event()
        thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        thread.start()
        assert ready.wait(WAIT_SECONDS)
        yield
        self._loop.call_soon_threadsafe(self._over.set)
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()

    def _run(self, ready: threading.Event) -> None:
        self._loop.run_until_complete(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self._over = asyncio.Event()
        self._restarting = asyncio.Lock()
        self._start()
        door = await asyncio.start_server(self._attend, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{door.sockets[0].getsockname()[1]}/api"
        ready.set()
        await self._over.wait()
        door.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._context.__exit__(None, None, None)

    def _start(self) -> None:
        self._context = server_process(environment={"HEADRACE_HOME": str(self._home)})
        self._server = self._context.__enter__()

    async def _attend(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        try:
            port = int(self._server.url.split(":")[2].split("/")[0])
            server_in, server_out = await asyncio.open_connection("127.0.0.1", port)
            is_lost = asyncio.Event()
            ways = (self._pass_requests(client_in, server_out, is_lost), self._pass_answers(server_in, client_out, is_lost))
            done, rest = await asyncio.wait([asyncio.ensure_future(way) for way in ways], return_when=asyncio.FIRST_COMPLETED)
            for way in rest:
                way.cancel()
            await asyncio.gather(*done, *rest, return_exceptions=True)
            server_out.close()
        except OSError:
            pass
        finally:
            client_out.close()

    async def _pass_requests(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, is_lost: asyncio.Event) -> None:
        while part := await source.read(65_536):
            if b"/set_state HTTP" in part:
                self._asked += 1
                if self._asked % 2:
                    is_lost.set()
            target.write(part)

    async def _pass_answers(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, is_lost: asyncio.Event) -> None:
        while part := await source.read(65_536):
            if is_lost.is_set():
                assert part.startswith(b"HTTP/1.1 20")
                self.lost += 1
                async with self._restarting:
                    await asyncio.to_thread(self._server.stop, signal.SIGKILL)
                    await asyncio.to_thread(self._start)
                return
            target.write(part)


def states_of(url: str, run: str) -> list[str]:
    answer = httpx.get(f"{url}/flow_run_states/", params={"flow_run_id": run}, timeout=30)
    return [state["name"] for state in answer.raise_for_status().json()]


def runs_of(url: str) -> dict[str, dict[str, object]]:
    return {run["name"]: run for run in httpx.post(f"{url}/flow_runs/filter", json={}, timeout=30).raise_for_status().json()}


@pytest.mark.timeout(150)
def test_a_state_whose_answer_was_lost_is_set_once(scripts: Scripts, tmp_path: Path) -> None:
    """Two flows at once, a blocking and an async one, while the server dies again and again."""
    line = Line(tmp_path / "server-home")
    with line.running():
        texts = {"blocking": BLOCKING, "async": ASYNC}
        processes = {
            name: scripts.start(scripts.write(f"{name}.py", text.format(name=name)), HEADRACE_API_URL=line.url, HEADRACE_CLIENT_MAX_RETRIES="8")
            for name, text in texts.items()
        }
        ended = {name: process.communicate(timeout=WAIT_SECONDS) for name, process in processes.items()}
        assert {name: (process.returncode, ended[name][0].strip()) for name, process in processes.items()} == dict.fromkeys(texts, (0, "4950")), ended
        assert line.lost >= 2
        runs = runs_of(line.url)
        assert {name: run["run_count"] for name, run in runs.items()} == dict.fromkeys(texts, 1)
        for run in runs.values():
            assert states_of(line.url, str(run["id"])) == ["Pending", "Running", "Completed"]
            mine = {"flow_runs": {"id": {"any_": [run["id"]]}}}
            tasks = httpx.post(f"{line.url}/task_runs/filter", json=mine, timeout=30).raise_for_status().json()
            assert Counter(task["state_name"] for task in tasks) == {"Completed": 100}


@pytest.mark.timeout(100)
def test_runs_of_a_killed_client_are_crashed(scripts: Scripts, tmp_path: Path) -> None:
    quick = {"TIMEOUT_SECONDS": "15", "LOOP_SECONDS": "0.5"}
    settings = {f"HEADRACE_SERVER_SERVICES_ZOMBIE_DETECTION_{name}": value for name, value in quick.items()}
    with server_process(environment={"HEADRACE_HOME": str(tmp_path / "server-home"), **settings}) as server:
        path = scripts.write("endless.py", ENDLESS)
        process = scripts.start(path, HEADRACE_API_URL=server.url)
        assert process.stdout is not None and process.stdout.readline() == "waiting\n"
        process.kill()
        process.communicate()
        killed = time.monotonic()
        while (run := runs_of(server.url)["doomed"])["state_type"] == "RUNNING" and time.monotonic() < killed + WAIT_SECONDS:
            time.sleep(0.2)
        assert run["state_type"] == "CRASHED", run
        tasks = httpx.post(f"{server.url}/task_runs/filter", json={}, timeout=30).json()
        assert {task["state_type"] for task in tasks} <= {"CRASHED"}
