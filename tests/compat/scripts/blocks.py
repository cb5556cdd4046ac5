"""Blocks: built in, own, nested, with secrets."""

import json

from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.filesystems import LocalFileSystem
from pydantic import SecretStr


class Login(Block):
    user: str
    password: SecretStr


class Store(Block):
    address: str
    login: Login


Secret(value="s3cr3t").save("token")
assert Secret.load("token").get() == "s3cr3t"
Login(user="ada", password=SecretStr("pw-1")).save("ada")
Store(address="db.example.org", login=Login.load("ada")).save("main")
Store(address="db2.example.org", login=Login.load("ada")).save("main", overwrite=True)
loaded = Store.load("main")
assert loaded.address == "db2.example.org" and loaded.login.password.get_secret_value() == "pw-1"
try:
    Secret(value="other").save("token")
except ValueError:
    refused = True
else:
    refused = False
LocalFileSystem(basepath=".").save("here")
Login(user="bob", password=SecretStr("x")).save("bob")
Login.delete("bob")
print(json.dumps({"refused": refused, "user": loaded.login.user}))
