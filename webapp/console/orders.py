"""The list of orders: searched, and read page by page in both directions."""

import re
from typing import NamedTuple

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from core.api_keys import Scope
from core.database import driver_connection
from core.event_sourcing.postgres_store import PostgresEventStore
from core.orders import values
from core.read_models.header import OrderHeader
from core.read_models.summary import OrderFilter, PageEnd, list_orders, list_orders_before
from webapp.api.cursor import decode_cursor, encode_cursor
from webapp.api.fields import STATUSES, status_of
from webapp.console.page import Page
from webapp.console.reading import Form
from webapp.database import db, read_session

PER_PAGE = 50


class Listed(NamedTuple):
    """A page of orders; the cursors lead to its neighbours, and are empty where there is none."""

    orders: list[OrderHeader]
    newer: str
    older: str


def show_orders() -> ResponseReturnValue:
    form = Form(request.args)
    looked_for = form.given.get("q", "").strip()
    if re.fullmatch(values.ORDER_ID, looked_for) and _exists(looked_for):
        return redirect(url_for("console.show_order", order_id=looked_for))
    matching = OrderFilter(
        customer_name=form.read("q", values.name_to_find, _("Write an order's id, or the whole name of a customer.")),
        status=form.read("status", status_of, _("Choose a status of the list.")),
        min_total_amount=form.amount("min"),
        max_total_amount=form.amount("max"),
        placed_from=form.moment("from"),
        placed_to=form.moment("to"),
    )
    advice = _("This link is broken; here is the first page.")
    after, before = (form.read(name, decode_cursor, advice) for name in ("after", "before"))
    page = _page(matching, after, before) if not form.faults.keys() - {"after", "before"} else Listed([], "", "")
    filters = {name: value for name, value in form.given.items() if value and name not in ("after", "before", "lang")}
    return render_template("console/orders.html", page=page, form=form, filters=filters, statuses=STATUSES)


def _exists(order_id: str) -> bool:
    return PostgresEventStore(driver_connection(db.session())).version(order_id) > 0


def _page(matching: OrderFilter, after: PageEnd | None, before: PageEnd | None) -> Listed:
    if before is not None:
        orders, newer = list_orders_before(read_session(), matching=matching, before=before, limit=PER_PAGE)
        older = _end(orders[-1]) if orders else None
    else:
        orders, older = list_orders(read_session(), matching=matching, after=after, limit=PER_PAGE)
        newer = _end(orders[0]) if orders and after else None
    return Listed(orders, encode_cursor(newer) if newer else "", encode_cursor(older) if older else "")


def _end(order: OrderHeader) -> PageEnd:
    return PageEnd(order.placed_at, order.order_id)


PAGES = (Page(path="/orders", view=show_orders, scope=Scope.ORDERS_READ, title=lazy_gettext("Orders")),)
