"""Logging in: what must be given, private keys in odd shapes, and every authenticator against a server that looks at what it gets."""

from __future__ import annotations

import os
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from snowflake.connector.errors import DatabaseError, OperationalError

from headrace_snowflake import InvalidPemFormat, SnowflakeCredentials
from headrace_snowflake.credentials import is_connector_5

PASSWORD = "paranoid-android"
TOKEN = "token-of-forty-two"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(passphrase: str | None = None, how: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8) -> str:
    encryption = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    return KEY.private_bytes(serialization.Encoding.PEM, how, encryption).decode()


DER = KEY.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def made(**values: object) -> SnowflakeCredentials:
    return SnowflakeCredentials(**{"account": "guide", "user": "marvin", **values})


# --- what must be given


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "One of these must be given, to log in with: password, private_key, private_key_path, authenticator, token"),
        ({"private_key": pem(), "private_key_path": "key.pem"}, "Both private_key and private_key_path are given"),
        ({"password": "x", "private_key_passphrase": "y"}, "Both password and private_key_passphrase are given"),
        ({"private_key_passphrase": "y", "authenticator": "snowflake"}, "no private_key or private_key_path that it belongs to"),
        ({"authenticator": "oauth"}, "'oauth' needs token"),
        ({"authenticator": "okta_endpoint", "password": "x"}, "'okta_endpoint' needs endpoint"),
        ({"authenticator": "username_password_mfa"}, "'username_password_mfa' needs password"),
        ({"authenticator": "snowflake_jwt", "password": "x"}, "'snowflake_jwt' needs private_key"),
        ({"authenticator": "workload_identity"}, "'workload_identity' needs workload_identity_provider"),
        ({"authenticator": "workload_identity", "workload_identity_provider": "oidc"}, "provider 'oidc' needs token"),
        ({"workload_identity_provider": "aws"}, "the authenticator is 'snowflake'; set it to 'workload_identity'"),
        ({"authenticator": "kerberos"}, "'snowflake', 'snowflake_jwt', 'externalbrowser'"),
        ({"user": None, "password": "x"}, "'snowflake' needs user"),
        ({"user": None, "authenticator": "oauth", "token": "x"}, "'oauth' needs user"),
    ],
)
def test_what_does_not_fit_together_is_refused(values, text):
    with pytest.raises(ValueError, match=text) as caught:
        made(**values)
    assert "BEGIN PRIVATE" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"password": "x"},
        {"private_key": pem()},
        {"private_key_path": "key.pem", "private_key_passphrase": "x"},
        {"authenticator": "snowflake"},
        {"authenticator": "externalbrowser"},
        {"authenticator": "oauth", "token": "x"},
        {"authenticator": "okta_endpoint", "endpoint": "https://x.okta.com", "password": "x"},
        {"authenticator": "username_password_mfa", "password": "x"},
        {"authenticator": "workload_identity", "workload_identity_provider": "azure", "user": None},
        {"authenticator": "workload_identity", "workload_identity_provider": "oidc", "token": "x", "user": None},
    ],
)
def test_what_fits_together_is_taken_and_survives_saving(values):
    credentials = made(**values)
    credentials.save("mine")
    assert SnowflakeCredentials.load("mine").model_dump() == credentials.model_dump()


def test_a_refused_block_shows_no_secret():
    with pytest.raises(ValueError, match="needs user") as caught:
        made(user=None, password="very-secret")
    assert "very-secret" not in str(caught.value)


# --- private keys


@pytest.mark.parametrize(
    "shape",
    [
        pem(),
        pem().replace("\n", " "),
        pem().replace("\n", ""),
        pem().replace("\n", "\\n"),
        pem().replace("\n", "\r\n"),
        f"\n  {pem()}\n\n",
        pem(how=serialization.PrivateFormat.TraditionalOpenSSL),
        pem(how=serialization.PrivateFormat.TraditionalOpenSSL).replace("\n", " "),
    ],
    ids=["as it is", "spaces", "no breaks", "written breaks", "windows", "space around", "traditional", "traditional, spaces"],
)
def test_a_private_key_is_put_in_order(shape):
    assert made(private_key=shape).resolve_private_key() == DER


def test_a_private_key_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key.pem").write_text(pem("deep thought"))
    assert made(private_key_path=Path("~/key.pem"), private_key_passphrase="deep thought").resolve_private_key() == DER
    with pytest.raises(FileNotFoundError, match="no file with a private key at '/no/such/key.pem'"):
        made(private_key_path="/no/such/key.pem").resolve_private_key()


@pytest.mark.parametrize("how", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_private_key(how):
    shape = pem("deep thought", how)
    assert made(private_key=shape, private_key_passphrase="deep thought").resolve_private_key() == DER
    assert made(private_key=shape, password="deep thought").resolve_private_key() == DER, "the password was the passphrase once"
    with pytest.raises(ValueError, match="is encrypted. Give its passphrase as private_key_passphrase"):
        made(private_key=shape).resolve_private_key()
    with pytest.raises(ValueError, match="the passphrase is wrong, or the key is damaged") as caught:
        made(private_key=shape, private_key_passphrase="shallow thought").resolve_private_key()
    assert "shallow" not in str(caught.value)


def test_a_passphrase_that_is_not_needed_does_not_matter():
    assert made(private_key=pem(), private_key_passphrase="deep thought").resolve_private_key() == DER


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ("no key at all", "is not in PEM format. It must begin with"),
        (pem().replace("END", "AND"), "is not in PEM format"),
        ("-----BEGIN PRIVATE KEY-----\nabc$def\n-----END PRIVATE KEY-----", "characters that are not base64"),
        ("-----BEGIN PRIVATE KEY-----\nabcd\n-----END PRIVATE KEY-----", "holds no private key that can be read"),
        (PUBLIC.decode(), "holds no private key"),
    ],
    ids=["no PEM", "another end", "no base64", "no key", "a public key"],  # a key is another one in each process
)
def test_what_is_no_private_key_is_told(shape, text):
    with pytest.raises(InvalidPemFormat, match=text) as caught:
        made(private_key=shape).resolve_private_key()
    assert shape not in str(caught.value)


def test_without_a_private_key_there_is_none():
    assert made(password="x").resolve_private_key() is None


# --- logging in


def answers(credentials: SnowflakeCredentials, **connect_kwargs: object) -> bool:
    with credentials.get_client(**connect_kwargs) as connection:
        return connection.cursor().execute("SELECT 42").fetchone() == (42,)


def test_with_a_password(credentials, server):
    assert answers(
        credentials(password=PASSWORD, role="robot", autocommit=False), database="hitchhiker", session_parameters={"QUERY_TAG": "dolphins"}
    )
    login = server.told()["logins"][-1]
    assert login["LOGIN_NAME"] == "marvin"
    assert login["SESSION_PARAMETERS"]["AUTOCOMMIT"] is False
    assert login["SESSION_PARAMETERS"]["QUERY_TAG"] == "dolphins"


def test_with_a_second_factor(credentials, server):
    assert answers(credentials(account="duo", authenticator="username_password_mfa", password=PASSWORD))
    steps = [login.get("EXT_AUTHN_DUO_METHOD") for login in server.told()["logins"] if login["ACCOUNT_NAME"].lower() == "duo"]
    assert len(steps) == 3
    assert steps[1:] == ["push", None]


def test_with_a_key_pair(credentials, server):
    server.ask("PUT", "/expect-key", PUBLIC)
    assert answers(credentials(private_key=pem().replace("\n", " ")))
    assert answers(credentials(private_key=pem("deep thought"), private_key_passphrase="deep thought", authenticator="snowflake_jwt"))
    assert answers(credentials(private_key=pem("deep thought"), password="deep thought")), "the password is not one to log in with"
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(DatabaseError, match="JWT token is invalid"):
        answers(credentials(private_key=other, login_timeout_seconds=1))


def test_with_oauth(credentials):
    assert answers(credentials(authenticator="oauth", token=TOKEN))
    with pytest.raises(DatabaseError, match="Incorrect username or password"):
        answers(credentials(authenticator="oauth", token="another"))


def test_with_okta(credentials, server, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.authority))

    trust = {"custom_root_store_path": str(server.authority)} if is_connector_5() else {"disable_ocsp_checks": True}
    endpoint = f"https://127.0.0.1:{server.tls_port}"
    assert answers(credentials(authenticator="okta_endpoint", endpoint=endpoint, password=PASSWORD), **trust)
    assert "saml-assertion" in server.told()["logins"][-1]["RAW_SAML_RESPONSE"]


def test_with_a_workload_identity(credentials, server, monkeypatch):
    monkeypatch.setenv("SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES", "127.0.0.1")
    token = jwt.encode({"iss": "https://issuer.example", "sub": "workload"}, "k" * 32)
    given = {"authenticator": "workload_identity", "workload_identity_provider": "oidc", "token": token, "user": None}
    assert answers(credentials(**given))
    assert server.told()["logins"][-1]["PROVIDER"] == "OIDC"


def test_with_a_browser(credentials, tmp_path, monkeypatch):
    browser = tmp_path / "browser"
    browser.write_text(
        f"#!{os.sys.executable}\nimport sys, urllib.request\nport = sys.argv[1].rpartition('port=')[2].partition('&')[0]\n"
        f"urllib.request.urlopen(f'http://localhost:{{port}}/?token={TOKEN}', timeout=10)\n"
    )
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s &")
    assert answers(credentials(authenticator="externalbrowser"), disable_console_login=True)


def test_a_refused_login_says_what_to_look_at(credentials):
    with pytest.raises(DatabaseError, match="Incorrect username or password was specified") as caught:
        credentials(password="wrong-password").get_client()
    (note,) = caught.value.__notes__
    assert "Logging in to the account 'guide' as 'marvin' failed (authenticator 'snowflake')" in note
    assert "wrong-password" not in f"{caught.value!r} {note}"


def test_a_server_that_hangs_or_is_not_there_is_given_up(credentials):
    began = time.monotonic()
    for place in ({"account": "silent"}, {"port": 9}):
        with pytest.raises((OperationalError, DatabaseError)) as caught:
            credentials(password=PASSWORD, login_timeout_seconds=2, **place).get_client(socket_timeout=2)
        assert "Check the account's name" in caught.value.__notes__[0]
    assert time.monotonic() - began < 60, "it was not given up"


def test_further_arguments_win(credentials):
    with credentials(password=PASSWORD).get_client(user="zaphod") as connection:
        assert connection.user == "zaphod"
