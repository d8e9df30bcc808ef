"""The contract of the API: OpenAPI 3.1 at /openapi.json, a page at /docs, and one about each type of problem."""
