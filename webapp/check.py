"""`python -m webapp.check`: what the web processes would trip over, said once before they start."""

import sys

from core.database import UnusableDatabase
from core.durability import report_dangers
from webapp import create_app
from webapp.database import sessions

if __name__ == "__main__":
    with create_app().app_context():
        try:
            report_dangers(sessions())
        except UnusableDatabase as error:
            sys.exit(f"orderlog: {error}")
