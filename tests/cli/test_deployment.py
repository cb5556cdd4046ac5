"""The commands of deployments and their schedules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.model.deployments import DeploymentCreate
from headrace.model.endpoints.deployments import CREATE_DEPLOYMENT
from headrace.model.endpoints.flows import CREATE_FLOW
from headrace.model.flows import FlowCreate
from headrace.testing.cli import CliResult, invoke


def call(endpoint: Any, body: Any = None, **parameters: Any) -> Any:
    return drive(current_client().call(endpoint, body, **parameters))


def data(command: str, code: int = 0) -> Any:
    done = invoke(f"{command} -o json")
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def ok(command: str) -> CliResult:
    done = invoke(command)
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(autouse=True)
def deployment(home: Path) -> Any:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "text": {"type": "string"}}, "required": ["n"]}
    flow = call(CREATE_FLOW, FlowCreate(name="etl")).id
    return call(CREATE_DEPLOYMENT, DeploymentCreate(name="daily", flow_id=flow, parameter_openapi_schema=schema))


def test_deployments_are_listed_and_shown(deployment: Any) -> None:
    assert [one["name"] for one in data("deployment ls")] == ["daily"]
    assert data("deployment ls other") == []
    assert "etl/daily" in ok("deployments ls etl").stdout
    assert data("deployment inspect etl/daily")["id"] == str(deployment.id)


def test_names_that_do_not_exist_list_near_ones() -> None:
    done = invoke("deployment inspect etl/dayly")
    assert done.exit_code == 4
    assert "There is no deployment 'etl/dayly'. Did you mean 'etl/daily'?" in done.stderr
    done = invoke("deployment inspect daily")
    assert (done.exit_code, "FLOW/DEPLOYMENT" in done.stderr) == (2, True)


def test_a_run_is_created_with_its_parameters() -> None:
    run = data('deployment run etl/daily -p n=3 --params \'{"n": 1, "text": "x"}\' --tag a --flow-run-name mine -jv image=x')
    assert (run["name"], run["parameters"], run["tags"], run["job_variables"]) == ("mine", {"n": 3, "text": "x"}, ["a"], {"image": "x"})
    assert run["state"]["name"] == "Scheduled"


@pytest.mark.parametrize(
    ("options", "words"),
    [("-p txt=1", "no parameter 'txt'. Did you mean 'text'?"), ("-p n=abc", "n"), ("", "n")],
    ids=["unknown", "unfit", "missing"],
)
def test_wrong_parameters_create_no_run(options: str, words: str) -> None:
    done = invoke(f"deployment run etl/daily {options}")
    assert done.exit_code == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert data("flow-run ls") == []


def test_a_run_may_start_later(deployment: Any) -> None:
    before = datetime.now(UTC)
    run = data(f"deployment run --id {deployment.id} -p n=1 --start-in 'in 1 hour and 30 minutes'")
    start = datetime.fromisoformat(run["state"]["state_details"]["scheduled_time"])
    assert timedelta(minutes=89) < start - before < timedelta(minutes=91)
    run = data("deployment run etl/daily -p n=1 --start-at '2031-08-01 17:30'")
    start = datetime.fromisoformat(run["state"]["state_details"]["scheduled_time"])
    assert start == datetime(2031, 8, 1, 17, 30).astimezone()
    run = data("deployment run etl/daily -p n=1 --start-at 'tomorrow at 5:30pm'")
    start = datetime.fromisoformat(run["state"]["state_details"]["scheduled_time"]).astimezone()
    assert (start.hour, start.minute, start.date()) == (17, 30, (datetime.now().astimezone() + timedelta(days=1)).date())


@pytest.mark.parametrize("option", ["--start-in soon", "--start-at noonish", "--start-at 25:00", "--start-in 1m --start-at 5pm"])
def test_times_that_cannot_be_read_are_wrong_usage(option: str) -> None:
    assert invoke(f"deployment run etl/daily -p n=1 {option}").exit_code == 2


def test_why_tells_what_holds_a_run() -> None:
    run = data("deployment run etl/daily -p n=1")
    found = data(f"why {run['id']}")
    assert [cause["code"] for cause in found["causes"]] == ["not-served"]
    text = ok(f"why {run['name']}").stdout
    assert "nobody serves deployment 'etl/daily'" in text
    assert f"free it  headrace flow-run execute {run['id']}" in text
    ok("deployment pause etl/daily")
    assert data("why etl/daily")["causes"][0]["code"] == "deployment-paused"
    assert invoke("why 01a1fc4c-513e-700e-b0c2-082406936e41").exit_code == 4


def test_deployments_are_paused_and_resumed() -> None:
    ok("deployment pause etl/daily")
    assert data("deployment inspect etl/daily")["paused"] is True
    ok("deployment resume etl/daily")
    assert data("deployment inspect etl/daily")["paused"] is False


def test_deleting_asks_first() -> None:
    assert invoke("deployment delete etl/daily").exit_code == 2
    assert len(data("deployment ls")) == 1
    ok("deployment delete etl/daily --yes")
    assert data("deployment ls") == []
    assert invoke("deployment delete etl/daily --yes").exit_code == 4
    assert "no deployments" in ok("deployment delete --all").stdout


class TestSchedules:
    def test_each_kind_is_created_and_listed(self) -> None:
        ok("deployment schedule create etl/daily --interval 3600 --anchor-date 2024-01-01")
        ok("deployment schedule create etl/daily --cron '0 6 * * *' --timezone Europe/Berlin --no-active")
        made = data("deployment schedule create etl/daily --rrule FREQ=DAILY;COUNT=3")
        assert made["schedule"]["rrule"] == "FREQ=DAILY;COUNT=3"
        listed = ok("deployment schedule ls etl/daily").stdout
        assert "every 1:00:00" in listed
        assert "cron 0 6 * * * (Europe/Berlin)" in listed
        assert [one["active"] for one in data("deployment schedule ls etl/daily")].count(False) == 1

    @pytest.mark.parametrize(
        "given",
        [
            "",
            "--interval 1 --cron '* * * * *'",
            pytest.param("--cron '61 * * * *'", marks=pytest.mark.needs_server),
            "--interval 0",
            "--cron '* * * * *' --timezone Mars",
        ],
    )
    def test_schedules_that_are_none_are_wrong_usage(self, given: str) -> None:
        done = invoke(f"deployment schedule create etl/daily {given}")
        assert done.exit_code == 2
        assert "Traceback" not in done.stderr
        assert data("deployment schedule ls etl/daily") == []

    def test_one_replaces_the_others(self) -> None:
        ok("deployment schedule create etl/daily --interval 3600")
        assert invoke("deployment schedule create etl/daily --interval 60 --replace").exit_code == 2
        ok("deployment schedule create etl/daily --interval 60 --replace -y")
        assert [one["schedule"]["interval"] for one in data("deployment schedule ls etl/daily")] == [60]

    def test_one_is_paused_and_resumed_and_deleted(self) -> None:
        id = data("deployment schedule create etl/daily --interval 3600")["id"]
        ok("deployment schedule pause etl/daily")
        assert data("deployment schedule ls etl/daily")[0]["active"] is False
        assert "Resumed 1 schedule." in ok("deployment schedule resume --all").stdout
        assert data("deployment schedule ls etl/daily")[0]["active"] is True
        ok(f"deployment schedule pause etl/daily {id}")
        assert invoke(f"deployment schedule delete etl/daily {id}").exit_code == 2
        ok(f"deployment schedule delete etl/daily {id} -y")
        assert invoke(f"deployment schedule delete etl/daily {id} -y").exit_code == 4
        ok("deployment schedule clear etl/daily")

    @pytest.mark.needs_server
    def test_the_coming_times_are_printed(self) -> None:
        ok("deployment schedule create etl/daily --cron '0 6 * * *'")
        times = data("deployment schedule next etl/daily -n 3")
        assert [one[11:16] for one in times] == ["06:00"] * 3


def test_a_run_is_executed_in_this_process_as_infrastructure_does(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text("from headrace import flow\n\n@flow(log_prints=True)\ndef etl(n: int):\n    print('n is', n)\n")
    ok("deploy flows.py:etl -n here")
    run = data("deployment run etl/here -p n=3")["id"]
    words = [sys.executable, "-m", "headrace", "flow-run", "execute"]
    done = subprocess.run([*words, run], capture_output=True, text=True, timeout=60)
    assert (done.returncode, "n is 3" in done.stderr) == (0, True), done.stderr
    assert data(f"flow-run inspect {run}")["state_name"] == "Completed"
    again = data("deployment run etl/here -p n=4")["id"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env={**os.environ, "HEADRACE__FLOW_RUN_ID": again})
    assert (done.returncode, "n is 4" in done.stderr) == (0, True), done.stderr


def test_a_run_to_execute_must_be_named() -> None:
    done = invoke("flow-run execute")
    assert (done.exit_code, "set HEADRACE__FLOW_RUN_ID to it" in done.stderr) == (2, True)
