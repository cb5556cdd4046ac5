"""A certificate authority of the session's own: Azure's SDKs send tokens over TLS alone."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Files: who is to be trusted, the certificate of servers on 127.0.0.1, and its key."""

    authority: Path
    certificate: Path
    key: Path


def certificates(folder: Path) -> Certificates:
    """Return the certificates in a folder that the processes of a session share, made by the first."""
    folder.mkdir(parents=True, exist_ok=True)
    found = Certificates(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    with (folder / "door").open("a") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        if not found.key.exists():
            authority = trustme.CA()
            server = authority.issue_cert("127.0.0.1", "localhost")
            authority.cert_pem.write_to_path(str(found.authority))
            found.certificate.write_bytes(b"".join(one.bytes() for one in server.cert_chain_pems))
            server.private_key_pem.write_to_path(str(found.key))
    return found
