"""What blocks that hold credentials are written with: clients made at first use, texts without secrets."""

from headrace.objects.live import Live
from headrace.objects.secret_texts import hidden, is_secret_name, revealed, secrets_of

__all__ = ["Live", "hidden", "is_secret_name", "revealed", "secrets_of"]
