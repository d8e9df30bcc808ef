"""The contract of the API: OpenAPI 3.1 at /openapi.json, a page at /docs, and a page for each type of problem.

`commands.py`, `queries.py` and `service.py` are the table of operations; `document.py` makes the contract from it.
"""
