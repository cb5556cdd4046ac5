"""The compose file: server, worker and PostgreSQL come up as it stands, run a deployment, and come back as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from images.conftest import OPERATIONS, Docker

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]

POSTGRES = """\
    FROM {base}
    RUN apt-get update && apt-get install --yes --no-install-recommends postgresql \\
        && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ ; command -v initdb
    COPY start /start
    ENV PGDATA=/var/lib/postgresql/data
    RUN install -d -o postgres -g postgres $PGDATA /run/postgresql
    USER postgres
    VOLUME /var/lib/postgresql/data
    ENTRYPOINT ["/start"]
    """
START = """\
    #!/bin/sh -e
    # What the official image does with its variables.
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        echo "$POSTGRES_PASSWORD" > /tmp/password
        initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile /tmp/password --auth=scram-sha-256 -E UTF8
        echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
        echo "CREATE DATABASE \\"$POSTGRES_DB\\"" | postgres --single -D "$PGDATA" postgres
    fi
    exec postgres -D "$PGDATA" -c listen_addresses='*'
    """
FLOWS = """\
    from headrace import flow, task
    from headrace.blocks.system import Secret

    @task
    def double(number):
        return 2 * number

    @flow(log_prints=True)
    def counts(top: int = 3):
        print("the sum is", sum(double.map(range(top)).result()))

    if __name__ == "__main__":
        Secret(value="kept").save("kept")
    """


@pytest.fixture(scope="module")
def postgres_image(docker: Docker, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an image that takes the place of the official one of PostgreSQL, under its name."""
    folder = tmp_path_factory.mktemp("postgres")
    (folder / "Dockerfile").write_text(dedent(POSTGRES.format(base=base_image)))
    (folder / "start").write_text(dedent(START))
    (folder / "start").chmod(0o755)
    docker("build", "--network", "host", "-t", "postgres:17", str(folder))
    return "postgres:17"


@pytest.fixture
def compose(docker: Docker, image: str, postgres_image: str) -> Iterator[Docker]:
    def run(*words: str) -> str:
        command = ["-p", "tried", "-f", str(OPERATIONS / "compose.yaml"), *words]
        return docker(*command, program="docker-compose", POSTGRES_PASSWORD="word1", HEADRACE_AUTH="me:word2")

    yield run
    run("down", "--volumes")


def test_the_compose_file_runs_deployments_and_comes_back_as_it_was(docker: Docker, compose: Docker, tmp_path: Path) -> None:
    def in_worker(*words: str) -> str:
        return docker("exec", "tried_worker_1", *words)

    (tmp_path / "flows.py").write_text(dedent(FLOWS))
    compose("up", "-d")  # each waits until what it depends on is healthy
    docker("cp", str(tmp_path / "flows.py"), "tried_worker_1:/data/flows.py")
    in_worker("python", "flows.py")
    in_worker("headrace", "work-pool", "create", "default", "--type", "process", "--overwrite")
    in_worker("headrace", "--no-prompt", "deploy", "flows.py:counts", "-n", "tried", "-p", "default")
    told = in_worker("headrace", "deployment", "run", "counts/tried", "--watch", "-p", "top=5")
    assert "the sum is 20" in told
    assert "Completed" in told

    compose("down")
    compose("up", "-d")
    assert "Completed" in in_worker("headrace", "flow-run", "ls")
    read = "from headrace.blocks.system import Secret; print(Secret.load('kept').get())"
    assert in_worker("python", "-c", read).strip() == "kept"
