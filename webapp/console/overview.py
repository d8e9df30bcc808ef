"""The overview: how many orders there are, and whether the read side keeps up."""

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext

from webapp.console.page import Page


def show_overview() -> ResponseReturnValue:
    return render_template("console/overview.html")


PAGES = (Page(path="", view=show_overview, title=lazy_gettext("Overview")),)
