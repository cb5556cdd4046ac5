"""`headrace profile`."""

from __future__ import annotations

import json
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from headrace.cli.profile import group
from headrace.settings import load_profiles
from headrace.settings.in_force import process


def run(*arguments: str) -> Result:
    """Run one command as a fresh process would, with nobody at the terminal."""
    process.context = None
    return CliRunner().invoke(group, list(arguments))


@pytest.fixture
def file(home: Path) -> Path:
    home.mkdir()
    path = home / "profiles.toml"
    path.write_text('active = "mine"\n\n[profiles.mine]\nHEADRACE_API_KEY = "hunter2"\n[profiles.other]\n')
    return path


def test_ls_marks_the_one_in_use(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = json.loads(run("ls", "-o", "json").stdout)
    assert {one["name"]: one["active"] for one in listed}["mine"]
    assert run("ls", "-o", "name").stdout.split() == ["ephemeral", "local", "mine", "other", "test"]
    monkeypatch.setenv("HEADRACE_PROFILE", "other")
    assert [line.split() for line in run("ls").stdout.splitlines() if "*" in line] == [["other", "*"]]


def test_create_copies_and_refuses_a_taken_name(file: Path) -> None:
    created = run("create", "copy", "--from", "mine", "-o", "json")
    assert json.loads(created.stdout) == {"name": "copy", "settings": {"HEADRACE_API_KEY": "********"}}
    assert load_profiles()["copy"].to_environment_variables() == {"HEADRACE_API_KEY": "hunter2"}
    again = run("create", "copy")
    assert (again.exit_code, again.stdout) == (1, "")
    assert "Profile 'copy' exists already" in again.stderr
    assert run("create", "x", "--from", "nope").exit_code == 4


def test_delete_needs_consent_and_keeps_the_one_in_use(file: Path) -> None:
    unasked = run("delete", "other")
    assert unasked.exit_code == 2
    assert "Add --yes" in unasked.stderr
    assert "other" in load_profiles().names
    assert run("delete", "other", "--yes").exit_code == 0
    assert run("delete", "other", "--yes").exit_code == 4
    assert "in use" in run("delete", "mine", "--yes").stderr
    assert "built in" in run("delete", "local", "--yes").stderr
    assert "mine" in load_profiles().names


def test_rename_and_inspect(file: Path) -> None:
    assert run("rename", "mine", "ours").exit_code == 0
    assert run("inspect").stdout == "HEADRACE_API_KEY='********'\n"
    assert json.loads(run("inspect", "ours", "--show-secrets", "-o", "json").stdout) == {
        "name": "ours",
        "settings": {"HEADRACE_API_KEY": "hunter2"},
    }
    unknown = run("inspect", "oth")
    assert unknown.exit_code == 4
    assert "Did you mean 'other'" in unknown.stderr
    assert run("rename", "ours", "other").exit_code == 1
    assert run("inspect", "other").stdout == "Profile 'other' sets nothing.\n"


def test_populate_defaults_shows_what_it_adds_and_keeps_a_copy(file: Path) -> None:
    before = file.read_text()
    assert run("populate-defaults").exit_code == 2
    assert file.read_text() == before
    result = run("populate-defaults", "--yes")
    assert '+HEADRACE_API_URL = "http://127.0.0.1:4200/api"' in result.stdout
    profiles = tomllib.loads(file.read_text())["profiles"]
    assert profiles["mine"] == {"HEADRACE_API_KEY": "hunter2"}
    assert {"local", "ephemeral", "test"} <= profiles.keys()
    assert file.with_name("profiles.toml.bak").read_text() == before
    assert "already" in run("populate-defaults").stdout


def test_a_broken_profiles_file_stops_every_command(file: Path) -> None:
    file.write_text("active = \n")
    for arguments in (("ls",), ("create", "x"), ("use", "mine"), ("delete", "mine"), ("inspect",), ("rename", "a", "b")):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (1, ""), arguments
        assert result.stderr.startswith(f"Error: {file}:1: ")


def test_a_profile_can_be_chosen_when_the_one_in_use_is_gone(file: Path) -> None:
    file.write_text('active = "gone"\n[profiles.mine]\n')
    assert run("use", "mine").exit_code == 0
    assert load_profiles().active_name == "mine"


class Answers(BaseHTTPRequestHandler):
    """A server that answers /api/health as an API, /closed with 401, /broken with 500 and the rest as a website."""

    def do_GET(self) -> None:
        status, body = {
            "/api/health": (200, b"true"),
            "/closed/health": (401, b"no"),
            "/broken/health": (500, b"oh"),
        }.get(self.path, (200, b"<html>"))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api", "connected"), ("/closed", "refused"), ("/broken", "server_error"), ("/site/api", "not_an_api")],
)
def test_use_tells_what_is_at_the_address(home: Path, address: str, path: str, status: str) -> None:
    home.mkdir()
    (home / "profiles.toml").write_text(f'[profiles.there]\nHEADRACE_API_URL = "{address}{path}"\n')
    assert json.loads(run("use", "there", "-o", "json").stdout)["status"] == status
    assert load_profiles().active_name == "there"


def test_use_tells_of_a_server_that_is_not_there(home: Path) -> None:
    home.mkdir()
    (home / "profiles.toml").write_text('[profiles.away]\nHEADRACE_API_URL = "http://127.0.0.1:9/api"\n')
    result = run("use", "away")
    assert result.exit_code == 0
    assert "http://127.0.0.1:9/api cannot be reached" in result.stderr
    assert json.loads(run("use", "ephemeral", "-o", "json").stdout)["status"] == "embedded"
    assert run("use", "awya").exit_code == 4
