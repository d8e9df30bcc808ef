"""`python -m webapp.check`: what the web processes would trip over, said once before they start."""

import sys

from flask.cli import NoAppException

from core.durability import report_dangers
from webapp import create_app
from webapp.database import sessions

if __name__ == "__main__":
    try:
        app = create_app()
    except NoAppException as error:
        sys.exit(f"orderlog: {error}")
    with app.app_context():
        report_dangers(sessions())
