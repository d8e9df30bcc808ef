"""Every operation of the API, and the rules that lead Flask to their views."""

from flask import Flask

from webapp.api import audit, commands, events, queries, webhooks
from webapp.api.operation import Operation
from webapp.contract import pages
from webapp.health import probes

OPERATIONS: tuple[Operation, ...] = (
    *commands.OPERATIONS,
    *queries.OPERATIONS,
    *audit.OPERATIONS,
    *events.OPERATIONS,
    *webhooks.OPERATIONS,
    *probes.OPERATIONS,
    *pages.OPERATIONS,
)


def init_app(app: Flask) -> None:
    for operation in OPERATIONS:
        app.add_url_rule(operation.rule, operation.name, operation.view, methods=[operation.method])
    app.add_url_rule("/docs/page.css", pages.STYLE_SHEET, pages.style_sheet)
    app.extensions[pages.OPERATIONS_SHOWN] = OPERATIONS
