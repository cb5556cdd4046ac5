"""A Blob Storage for tests: Azurite, started by the first of a session's processes and ended with the last. It speaks HTTP, or HTTPS with OAuth."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headrace.testing.starting import ServiceMissing, free_port, is_open, wait_for

from .certificates import Certificates

VERSION = "3.37.0"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Those that every Azurite has (its README, "Default Storage Account")."""
INSTALL_SECONDS_MAX = 600
PLACE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "headrace-tests" / f"azurite-{VERSION}"

_KEEPER = """
import fcntl, pathlib, subprocess, sys
users, port, *words = sys.argv[1:]
emulator = subprocess.Popen(words)
with open(users, "a") as held:
    fcntl.flock(held, fcntl.LOCK_EX)  # had once no process of the session uses it any more
    pathlib.Path(port).unlink(missing_ok=True)  # who comes now, starts another
    emulator.terminate()
    try:
        emulator.wait(20)
    except subprocess.TimeoutExpired:
        emulator.kill()
"""


@dataclass(frozen=True)
class Azurite:
    """Where the account's blobs are."""

    url: str

    @property
    def connection_string(self) -> str:
        """The account's, with its key."""
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.url};"


@contextlib.contextmanager
def shared_azurite(folder: Path, tls: Certificates | None = None) -> Iterator[Azurite]:
    """Give the emulator that all who name this folder share; with certificates, one that takes tokens of Entra ID."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with (folder / "door").open("a") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            if not (folder / "port").exists():
                _start(folder, tls)
        scheme = "https" if tls else "http"
        yield Azurite(f"{scheme}://127.0.0.1:{(folder / 'port').read_text()}/{ACCOUNT}")


def _start(folder: Path, tls: Certificates | None) -> None:
    port, log = free_port(), folder / "log"
    words = [_installed(), "--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--blobHost", "127.0.0.1"]
    words += ["--blobPort", str(port)]
    if tls is not None:
        words += ["--oauth", "basic", "--cert", str(tls.certificate), "--key", str(tls.key)]
    with log.open("wb") as out:
        command = [sys.executable, "-c", _KEEPER, str(folder / "users"), str(folder / "port"), *words]
        keeper = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, start_new_session=True)
    wait_for(lambda: is_open(port), keeper, log)
    (folder / "port").write_text(str(port))


def _installed() -> str:
    """Return the emulator's program, installed once for this user. Raises `ServiceMissing`."""
    program = PLACE / "node_modules" / ".bin" / "azurite-blob"
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    with PLACE.with_suffix(".door").open("a") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        if not (PLACE / "ready").exists():
            npm = shutil.which("npm")
            if npm is None:
                raise ServiceMissing("These tests need Azurite, and npm to install it: apt-get install npm.")
            shutil.rmtree(PLACE, ignore_errors=True)
            PLACE.mkdir()
            words = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(PLACE), f"azurite@{VERSION}"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False)
            if done.returncode or not program.exists():
                raise ServiceMissing(f"These tests need Azurite, and it could not be installed into {PLACE}: {done.stderr.strip()[-2000:]}")
            (PLACE / "ready").touch()
    return str(program)
