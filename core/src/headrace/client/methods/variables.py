"""Documented client methods on variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.model.endpoints import variables as endpoints
from headrace.model.errors import ObjectNotFound

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.model.variables import Variable, VariableCreate, VariableUpdate


class VariableMethods:
    """Variables, for a client that has `call`."""

    async def create_variable(self: Client, variable: VariableCreate) -> Variable:
        """Create a variable. Raises `ObjectAlreadyExists` when the name is taken."""
        return await self.call(endpoints.CREATE_VARIABLE, variable)

    async def read_variable_by_name(self: Client, name: str) -> Variable | None:
        """Return the variable of that name, or None."""
        try:
            return await self.call(endpoints.READ_VARIABLE_BY_NAME, name=name)
        except ObjectNotFound:
            return None

    async def read_variables(self: Client, limit: int | None = None) -> list[Variable]:
        """Return the variables by name, at most `limit` (default and greatest: 200)."""
        from headrace.model.variables import FilterVariables

        return await self.call(endpoints.FILTER_VARIABLES, FilterVariables(limit=limit))

    async def update_variable(self: Client, variable: VariableUpdate) -> None:
        """Change the value and tags, where given, of the variable that has the name in `variable`. Raises `ObjectNotFound`."""
        await self.call(endpoints.UPDATE_VARIABLE_BY_NAME, variable, name=variable.name)

    async def delete_variable_by_name(self: Client, name: str) -> None:
        """Delete the variable of that name. Raises `ObjectNotFound`."""
        await self.call(endpoints.DELETE_VARIABLE_BY_NAME, name=name)
