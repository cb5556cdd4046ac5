"""Use cases: rules and store in one transaction. One module for each noun; `table.py` finds the operation of an endpoint.

Operations are plain blocking functions that take a `Transaction`, the body and the parameters, and return shapes of `model`.
"""
