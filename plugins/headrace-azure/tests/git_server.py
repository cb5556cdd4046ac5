"""What answers where Azure DevOps keeps Git repositories: git's own server, which lets in whoever has the personal access token."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .serving import Handler, serving


@contextmanager
def git_server(root: Path, token: str) -> Iterator[str]:
    """Serve the repositories below a folder. As at Azure DevOps, the user's name does not matter."""

    class Repositories(Handler):
        def respond(self, content: bytes) -> None:
            login = base64.b64decode((self.headers["Authorization"] or "").removeprefix("Basic ")).decode()
            if login.partition(":")[2] != token:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="https://dev.azure.com/"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            about = {"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "somebody"}
            about |= {"CONTENT_TYPE": self.headers["Content-Type"] or "", "CONTENT_LENGTH": str(len(content))}
            about |= {"HTTP_CONTENT_ENCODING": self.headers["Content-Encoding"] or "", "GIT_PROTOCOL": self.headers["Git-Protocol"] or ""}
            environment = {**os.environ, **about, "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1"}
            done = subprocess.run(["git", "http-backend"], input=content, env=environment, capture_output=True, check=True, timeout=60)
            head, _, body = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    with serving(Repositories) as url:
        yield url
