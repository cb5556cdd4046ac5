"""Names: what is allowed in them, and what the error says."""

from __future__ import annotations

import pytest

from headrace.types.names import (
    raise_on_name_alphanumeric_dashes_only,
    raise_on_name_alphanumeric_dashes_underscores_only,
    raise_on_name_alphanumeric_underscores_only,
)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (raise_on_name_alphanumeric_dashes_only, "my-name-2", "my_name"),
        (raise_on_name_alphanumeric_dashes_only, "", "My-name"),
        (raise_on_name_alphanumeric_underscores_only, "my_name_2", "my-name"),
        (raise_on_name_alphanumeric_underscores_only, None, "my name"),
        (raise_on_name_alphanumeric_dashes_underscores_only, "my-name_2", "my.name"),
        (raise_on_name_alphanumeric_dashes_underscores_only, "a", ""),
    ],
)
def test_names_hold_only_what_is_allowed(check: object, good: str | None, bad: str) -> None:
    assert callable(check)
    assert check(good) == good
    with pytest.raises(ValueError, match="The key must only contain lowercase letters, numbers, and "):
        check(bad, "The key")
