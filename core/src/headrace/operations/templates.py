"""Templates: checked before something that holds one is stored."""

from __future__ import annotations

from headrace.model.endpoints import templates as endpoints
from headrace.model.errors import InvalidTemplate
from headrace.operations.table import Operation
from headrace.store.database import Transaction


def validate_template(tx: Transaction, body: str) -> None:
    """Raise `InvalidTemplate` unless `body` is a Jinja template."""
    from jinja2 import TemplateSyntaxError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    try:
        ImmutableSandboxedEnvironment().parse(body)
    except TemplateSyntaxError as error:
        raise InvalidTemplate(error.message or "The template cannot be read.", error.lineno, body) from error
    except RecursionError as error:
        raise InvalidTemplate("The template is nested too deeply.", 1, body) from error


OPERATIONS = {
    endpoints.VALIDATE_TEMPLATE: Operation(validate_template, writes=False),
    endpoints.VALIDATE_AUTOMATION_TEMPLATE: Operation(validate_template, writes=False),
}
