"""Serving flows: each run in a process of its own, watched to its end."""

from __future__ import annotations

import os
import signal
import urllib.request
from pathlib import Path

import pytest

from deploy.served import create_run, ended, read_run, running, serving, until
from headrace.client.orchestration import get_client
from headrace.states import Cancelling
from headrace.testing.server import free_port

pytestmark = pytest.mark.usefixtures("api")

SCRIPT = """
    import os, subprocess, sys, time
    from pathlib import Path
    from headrace import flow

    def note(word):
        with open("notes.txt", "a") as file:
            file.write(word + "\\n")

    def crashed(flow, run, state): note("crashed")
    def cancelled(flow, run, state): note("cancelled")

    @flow(log_prints=True, on_crashed=[crashed], on_cancellation=[cancelled])
    def work(what: str = "", seconds: float = 0):
        print("process", os.getpid())
        Path("pid.txt").write_text(str(os.getpid()))
        if what == "exit":
            os._exit(0)
        if what == "tree":
            child = subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 600"])
            Path("tree.txt").write_text(str(child.pid))
        if what == "chatter":
            for number in range(40):
                print("still here", number, flush=True)
                time.sleep(0.05)
        time.sleep(seconds)
        return what

    if __name__ == "__main__":
        work.serve("{name}", limit={limit}{more})
"""


def script(name: str, limit: int = 5, more: str = "") -> str:
    return SCRIPT.replace("{name}", name).replace("{limit}", str(limit)).replace("{more}", more)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def await_file(path: Path) -> str:
    return until(lambda: path.read_text() if path.exists() else "")


def notes(folder: Path) -> list[str]:
    file = folder / "notes.txt"
    return file.read_text().split() if file.exists() else []


def test_run_completes_in_a_process_of_its_own_and_its_lines_name_it(tmp_path: Path) -> None:
    with serving(tmp_path, script("plain")) as served:
        run = ended(create_run("work/plain").id)
        assert run.state is not None and run.state.is_completed()
        line = served.await_line("process")
        assert run.name in line
        assert int((tmp_path / "pid.txt").read_text()) != served.process.pid
        assert served.stop(signal.SIGINT) == 0
    assert get_client(sync_client=True).read_deployment_by_name("work/plain").paused


def test_deployment_is_left_alone_at_the_end_if_so_wished(tmp_path: Path) -> None:
    with serving(tmp_path, script("goes-on", more=", pause_on_shutdown=False")) as served:
        assert served.stop(signal.SIGTERM) == 0
    assert not get_client(sync_client=True).read_deployment_by_name("work/goes-on").paused


def test_killed_process_makes_its_run_crashed_and_the_runner_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path, script("killed")):
        run = running(create_run("work/killed", parameters={"seconds": 600}).id)
        os.kill(int(await_file(tmp_path / "pid.txt")), signal.SIGKILL)
        state = ended(run.id).state
        assert state is not None and state.is_crashed()
        assert "SIGKILL" in (state.message or "") and "-9" in (state.message or "")
        until(lambda: notes(tmp_path) == ["crashed"])
        after = ended(create_run("work/killed").id).state
        assert after is not None and after.is_completed()
    assert notes(tmp_path) == ["crashed"]


def test_process_that_leaves_without_a_word_makes_its_run_crashed(tmp_path: Path) -> None:
    with serving(tmp_path, script("silent")):
        state = ended(create_run("work/silent", parameters={"what": "exit"}).id).state
        assert state is not None and state.is_crashed()
        assert "without reporting" in (state.message or "") and "status code: 0" in (state.message or "")


def test_cancelling_ends_the_process_with_all_it_started_and_runs_the_hook_once(tmp_path: Path) -> None:
    with serving(tmp_path, script("cancel")) as served:
        run = running(create_run("work/cancel", parameters={"what": "tree", "seconds": 600}).id)
        grandchild = int(await_file(tmp_path / "tree.txt"))
        get_client(sync_client=True).set_flow_run_state(run.id, Cancelling())
        state = ended(run.id).state
        assert state is not None and state.is_cancelled()
        until(lambda: not is_alive(grandchild))
        assert not is_alive(int((tmp_path / "pid.txt").read_text()))
        served.stop()
    assert notes(tmp_path) == ["cancelled"]


def test_run_that_is_cancelled_before_it_starts_never_runs(tmp_path: Path) -> None:
    with serving(tmp_path, script("full", limit=1)):
        first = running(create_run("work/full", parameters={"seconds": 600}).id)
        second = create_run("work/full")
        client = get_client(sync_client=True)
        client.set_flow_run_state(second.id, Cancelling())
        client.set_flow_run_state(first.id, Cancelling())
        assert ended(first.id).state_type == "CANCELLED"
        run = ended(second.id)
        assert run.state_type == "CANCELLED" and run.run_count == 0


def test_limit_holds_runs_back(tmp_path: Path) -> None:
    with serving(tmp_path, script("one", limit=1)):
        runs = [create_run("work/one", parameters={"seconds": 0.3}) for _ in range(2)]
        first, second = sorted((ended(run.id) for run in runs), key=lambda run: str(run.start_time))
        assert first.end_time is not None and second.start_time is not None
        assert second.start_time >= first.end_time


def test_stopping_ends_the_runs_in_progress_as_crashed(tmp_path: Path) -> None:
    with serving(tmp_path, script("stopped")) as served:
        run = running(create_run("work/stopped", parameters={"seconds": 600}).id)
        pid = int(await_file(tmp_path / "pid.txt"))
        assert served.stop(signal.SIGTERM) == 0
    state = read_run(run.id).state
    assert state is not None and state.is_crashed()
    assert not is_alive(pid)


@pytest.mark.scenario
def test_run_goes_on_when_its_runner_is_killed_though_nobody_hears_what_it_prints(tmp_path: Path) -> None:
    with serving(tmp_path, script("orphan")) as served:
        run = running(create_run("work/orphan", parameters={"what": "chatter"}).id)
        served.stop(signal.SIGKILL)
        state = ended(run.id).state
        assert state is not None and state.is_completed()


@pytest.mark.scenario
def test_runs_go_on_when_the_process_that_forks_them_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path, script("unforked")) as served:
        run = running(create_run("work/unforked", parameters={"seconds": 1}).id)
        pid = int(await_file(tmp_path / "pid.txt"))
        zygote = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        assert zygote != served.process.pid
        os.kill(zygote, signal.SIGKILL)
        assert ended(run.id).state_type == "COMPLETED"
        assert ended(create_run("work/unforked").id).state_type == "COMPLETED"


def test_file_that_raises_when_it_is_imported_is_told_of_in_the_run(tmp_path: Path) -> None:
    with serving(tmp_path, script("broken")):
        (tmp_path / "flows.py").write_text("raise LookupError('no such thing')\n")
        state = ended(create_run("work/broken").id).state
        assert state is not None and state.is_crashed()
        assert "LookupError" in (state.message or "") and "no such thing" in (state.message or "") and "flows.py" in (state.message or "")


def test_schedule_makes_runs_by_itself(tmp_path: Path) -> None:
    with serving(tmp_path, script("timed", more=", interval=1")):
        await_file(tmp_path / "pid.txt")


def test_health_is_served_and_stopping_needs_the_token(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, script("healthy", more=", webserver=True"), HEADRACE_RUNNER_SERVER_PORT=str(port)) as served:
        token = served.await_line("Bearer").rpartition("Bearer ")[2].strip("'. ")
        url = f"http://localhost:{port}"
        with urllib.request.urlopen(f"{url}/health") as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"{url}/run_count") as answer:
            assert answer.read() == b"0"
        with pytest.raises(urllib.request.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(f"{url}/shutdown", method="POST"))
        urllib.request.urlopen(urllib.request.Request(f"{url}/shutdown", method="POST", headers={"Authorization": f"Bearer {token}"}))
        assert served.process.wait(30) == 0


def test_command_line_serves_a_flow(tmp_path: Path) -> None:
    words = ["-m", "headrace", "flow", "serve", "flows.py:work", "--name", "by-command", "--tag", "x"]
    with serving(tmp_path, script("unused"), *words):
        run = ended(create_run("work/by-command").id)
        assert run.state_type == "COMPLETED" and run.tags == ["x"]
