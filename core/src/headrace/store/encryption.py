"""The key that block values are encrypted with. It comes from a setting or from a file, never from the database that it protects.

Fernet (https://github.com/fernet/spec) encrypts and signs, so a wrong key is noticed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.model import ids
from headrace.model.errors import ConfigurationError, EncryptionKeyError
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_FILE = "encryption.key"
VARIABLE = "HEADRACE_SERVER_ENCRYPTION_KEY"


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted text, and which key made it."""

    token: str
    key_id: str


class Keyring:
    """The keys in use: the first encrypts, all decrypt. `file` holds them when the setting does not."""

    def __init__(self, configured: str | None, file: Path) -> None:
        self._configured = configured
        self._file = file

    @property
    def source(self) -> str:
        """Where the keys come from, for messages."""
        return f"the setting {VARIABLE}" if self._configured else f"the file {self._file}"

    def key_ids(self) -> tuple[str, ...]:
        """Return the ids of the keys at hand, the one that encrypts first; empty when there is none yet."""
        return tuple(_id_of(key) for key in self._keys())

    def create(self) -> None:
        """Make a key file if there is neither a file nor a setting. Of two processes at once both end up with the same key."""
        if not self._keys():
            _write_once(self._file)

    def seal(self, text: str) -> Sealed:
        """Encrypt a text. Raises EncryptionKeyError when there is no key."""
        keys = self._keys()
        if not keys:
            raise EncryptionKeyError(f"There is no key to encrypt block values with: {self.source} does not exist.")
        return Sealed(self._fernet(keys[0]).encrypt(text.encode()).decode(), _id_of(keys[0]))

    def open(self, sealed: Sealed, what: str) -> str:
        """Decrypt a text; `what` names it in errors. Raises EncryptionKeyError when the key is missing or another one."""
        from cryptography.fernet import InvalidToken

        keys = self._keys()
        for key in keys:
            if _id_of(key) == sealed.key_id:
                try:
                    return self._fernet(key).decrypt(sealed.token).decode()
                except InvalidToken as error:
                    raise EncryptionKeyError(f"{what} is damaged: its values do not fit the key {sealed.key_id} that made them.") from error
        raise EncryptionKeyError(self.foreign(what, sealed.key_id))

    def foreign(self, what: str, key_id: str) -> str:
        """Say that `what` was encrypted with a key that is not at hand."""
        have = " and ".join(self.key_ids())
        found = f"{self.source} holds {have}" if have else f"{self.source} does not exist"
        return (
            f"{what} was encrypted with the key {key_id}, but {found}. Put the right key there (from a backup, or from the machine that "
            f"saved it), or give it as {VARIABLE}; several keys may stand there, with commas between them."
        )

    def _keys(self) -> list[str]:
        if self._configured:
            text = self._configured
        else:
            try:
                text = self._file.read_text()
            except FileNotFoundError:
                return []
            except OSError as error:
                raise EncryptionKeyError(f"The key file {self._file} cannot be read: {error}. Block values need it.") from error
        keys = [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
        if not keys:
            raise EncryptionKeyError(f"{self.source} is empty, so block values cannot be encrypted or read. Put the key back from a backup.")
        return keys

    def _fernet(self, key: str) -> Fernet:
        from cryptography.fernet import Fernet

        try:
            return Fernet(key)
        except ValueError as error:
            raise ConfigurationError(
                f"{self.source} does not hold a Fernet key: 32 bytes as 44 characters of URL-safe base64 are needed. Make one with "
                '`python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"`.'
            ) from error


def current_keyring() -> Keyring:
    """Return the keyring of the present settings."""
    settings = get_current_settings()
    configured = settings.server.encryption_key
    return Keyring(configured.get_secret_value() if configured else None, settings.home / KEY_FILE)


def _id_of(key: str) -> str:
    return sha256(key.encode()).hexdigest()[:8]


def _write_once(file: Path) -> None:
    """Write a new key, complete and readable by its owner alone from the first moment; leave the file of a faster process."""
    from cryptography.fernet import Fernet

    draft = file.with_name(f"{file.name}.{ids.random_hex(8)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, Fernet.generate_key() + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        os.link(draft, file)
    except FileExistsError:
        pass
    except OSError as error:
        raise EncryptionKeyError(f"The key file {file} cannot be made: {error}. Make its folder writable, or give a key as {VARIABLE}.") from error
    finally:
        draft.unlink(missing_ok=True)
