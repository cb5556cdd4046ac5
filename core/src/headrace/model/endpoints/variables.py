"""Routes of variables."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.variables import CountVariables, FilterVariables, Variable, VariableCreate, VariableUpdate

CREATE_VARIABLE = Endpoint[Variable]("POST", "/variables/", "variables", VariableCreate, Variable, 201)
READ_VARIABLE = Endpoint[Variable]("GET", "/variables/{id}", "variables", returns=Variable)
READ_VARIABLE_BY_NAME = Endpoint[Variable]("GET", "/variables/name/{name}", "variables", returns=Variable)
FILTER_VARIABLES = Endpoint[list[Variable]]("POST", "/variables/filter", "variables", FilterVariables, list[Variable])
COUNT_VARIABLES = Endpoint[int]("POST", "/variables/count", "variables", CountVariables, int)
UPDATE_VARIABLE = Endpoint[None]("PATCH", "/variables/{id}", "variables", VariableUpdate, status=204)
UPDATE_VARIABLE_BY_NAME = Endpoint[None]("PATCH", "/variables/name/{name}", "variables", VariableUpdate, status=204)
DELETE_VARIABLE = Endpoint[None]("DELETE", "/variables/{id}", "variables", status=204)
DELETE_VARIABLE_BY_NAME = Endpoint[None]("DELETE", "/variables/name/{name}", "variables", status=204)
