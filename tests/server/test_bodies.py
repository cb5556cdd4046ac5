"""What a request sends as null, or beside what is known."""

from __future__ import annotations

import pytest

from headrace.model.base import Body
from headrace.server.routes import known_endpoints

BODIES = {one.body for one in known_endpoints() if isinstance(one.body, type) and issubclass(one.body, Body)}
FREE = sorted((body for body in BODIES if not any(field.is_required() for field in body.model_fields.values())), key=lambda body: body.__qualname__)


@pytest.mark.parametrize("body", FREE)
def test_null_means_the_default_and_unknown_parts_are_passed_over(body: type[Body]) -> None:
    assert body.model_validate({**dict.fromkeys(body.model_fields, None), "nonsense": 1}) == body()
