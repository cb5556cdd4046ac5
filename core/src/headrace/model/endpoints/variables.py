"""Routes of variables."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.variables import CountVariables, FilterVariables, Variable, VariableCreate, VariableUpdate

CREATE_VARIABLE: Endpoint[Variable] = Endpoint("POST", "/variables/", "variables", VariableCreate, Variable, 201)
READ_VARIABLE: Endpoint[Variable] = Endpoint("GET", "/variables/{id}", "variables", returns=Variable)
READ_VARIABLE_BY_NAME: Endpoint[Variable] = Endpoint("GET", "/variables/name/{name}", "variables", returns=Variable)
FILTER_VARIABLES: Endpoint[list[Variable]] = Endpoint("POST", "/variables/filter", "variables", FilterVariables, list[Variable])
COUNT_VARIABLES: Endpoint[int] = Endpoint("POST", "/variables/count", "variables", CountVariables, int)
UPDATE_VARIABLE: Endpoint[None] = Endpoint("PATCH", "/variables/{id}", "variables", VariableUpdate, status=204)
UPDATE_VARIABLE_BY_NAME: Endpoint[None] = Endpoint("PATCH", "/variables/name/{name}", "variables", VariableUpdate, status=204)
DELETE_VARIABLE: Endpoint[None] = Endpoint("DELETE", "/variables/{id}", "variables", status=204)
DELETE_VARIABLE_BY_NAME: Endpoint[None] = Endpoint("DELETE", "/variables/name/{name}", "variables", status=204)
