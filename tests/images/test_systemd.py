"""The units of systemd, started by systemd: they run with everything that they lock away, end well and come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from images.conftest import OPERATIONS, Docker

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]

MACHINE = """\
    FROM {base}
    RUN apt-get update && apt-get install --yes --no-install-recommends systemd systemd-sysv
    COPY --from=headrace /opt/headrace /opt/headrace
    COPY *.service /etc/systemd/system/
    RUN useradd --system --home-dir /var/lib/headrace headrace && install -d /etc/headrace && install -d -o headrace -g headrace /srv/flows
    COPY flows.py /srv/flows/
    RUN echo HEADRACE_SERVER_API_AUTH_STRING=me:word2 > /etc/headrace/server.env \\
        && echo HEADRACE_API_URL=http://127.0.0.1:4200/api > /etc/headrace/client.env \\
        && echo HEADRACE_API_AUTH_STRING=me:word2 >> /etc/headrace/client.env \\
        && echo PYTHONPATH=/srv/flows >> /etc/headrace/client.env \\
        && chmod 600 /etc/headrace/*.env
    CMD ["/sbin/init"]
    """
FLOWS = """\
    import time
    from headrace import flow, task

    @flow(log_prints=True)
    def sleeps(seconds: float = 0):
        time.sleep(seconds)
        print("slept")

    @task
    def note(text):
        print("noted", text)
    """
RUN_OPTIONS = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--network", "none", "--tmpfs", "/run", "--tmpfs", "/run/lock"]
CGROUPS = Path("/sys/fs/cgroup/systemd")
"""Where systemd keeps its own on machines with the first version of control groups."""
SECONDS_MAX = 60


@pytest.fixture
def inside(docker: Docker, image: str, base_image: str, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Start a machine with the units; give what runs a script on it as an operator would, and returns what that wrote."""
    (tmp_path / "Dockerfile").write_text(dedent(MACHINE.format(base=base_image)))
    (tmp_path / "flows.py").write_text(dedent(FLOWS))
    for unit in OPERATIONS.glob("*.service"):
        (tmp_path / unit.name).write_text(unit.read_text())
    docker("build", "--network", "host", "-t", "headrace-test/machine:1", str(tmp_path))
    groups = ["-v", f"{CGROUPS}:{CGROUPS}", "--cgroupns=host"] if CGROUPS.is_dir() else ["--cgroupns=private"]
    machine = docker("run", "-d", *RUN_OPTIONS, *groups, "headrace-test/machine:1").strip()
    told = "set -a; . /etc/headrace/client.env; export PATH=/opt/headrace/bin:$PATH HEADRACE_HOME=/tmp/operator; cd /srv/flows; "
    yield lambda script: docker("exec", machine, "sh", "-ec", told + script)
    docker("rm", "-f", "-v", machine)


def comes(inside: Callable[[str], str], script: str, wanted: str) -> None:
    """Run a script until it writes what is wanted, for a bounded time."""
    deadline = time.monotonic() + SECONDS_MAX
    while wanted not in (said := inside(script)):
        assert time.monotonic() < deadline, f"{script}: {said}"
        time.sleep(0.2)


def test_the_units_run_end_well_and_come_back(inside: Callable[[str], str]) -> None:
    comes(inside, "systemctl is-system-running || true", "running")
    inside("systemctl enable --now headrace-server headrace-worker@default headrace-tasks@flows")
    comes(inside, "headrace work-pool ls || true", "process")
    inside("headrace --no-prompt deploy flows.py:sleeps -n tried -p default")
    assert "Completed" in inside("headrace deployment run sleeps/tried --watch")

    inside("headrace deployment run sleeps/tried -p seconds=4")
    comes(inside, "headrace flow-run ls", "Running")
    inside("systemctl stop headrace-worker@default")
    assert "Running" not in inside("headrace flow-run ls")
    assert inside("headrace flow-run ls").count("Completed") == 2

    inside("systemctl kill -s KILL headrace-server")
    comes(inside, "systemctl is-active headrace-server || true; headrace flow-run ls || true", "Completed")
    assert inside("systemctl is-active headrace-tasks@flows").strip() == "active"
    assert inside("stat -c %a /var/lib/headrace/headrace.db").strip() == "600"
    inside("systemctl stop headrace-tasks@flows headrace-server")
    assert inside("systemctl --failed --no-legend").strip() == ""
