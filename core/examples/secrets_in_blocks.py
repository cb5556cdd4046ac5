"""Blocks: configuration that is saved once and loaded by name. Secrets are encrypted at rest and never shown."""

from pydantic import SecretStr

from headrace import flow
from headrace.blocks.core import Block


class Mailbox(Block):
    """Where reports are sent to, and how to get in."""

    address: str
    password: SecretStr

    def send(self, text: str) -> str:
        """Send a text: here, only say so."""
        assert self.password.get_secret_value() == "correct horse"
        return f"sent {text!r} to {self.address}"


@flow(log_prints=True)
def report() -> None:
    """Load the mailbox by its name, and use it."""
    mailbox = Mailbox.load("reports")
    print(mailbox.send("all is well"))
    print(f"The block prints itself as {mailbox}")


if __name__ == "__main__":
    Mailbox(address="ada@example.com", password=SecretStr("correct horse")).save("reports", overwrite=True)
    report()
