"""`python -m webapp.check`: what the web processes would trip over, said once before they start."""

import logging
import sys

from flask.cli import NoAppException
from sqlalchemy.exc import DBAPIError

from core.durability import dangers
from core.safe_errors import describe
from webapp import create_app
from webapp.database import sessions

logger = logging.getLogger("webapp.check")


def main() -> None:
    """Exits with one sentence for a setting that cannot be used; a database that is away is not waited for."""
    try:
        app = create_app()
    except NoAppException as error:
        sys.exit(f"orderlog: {error}")
    try:
        with app.app_context(), sessions().begin() as session:
            for danger in dangers(session):
                logger.error(danger)
    except DBAPIError as error:
        logger.warning("The database could not be asked whether it is durable (%s).", describe(error))


if __name__ == "__main__":
    main()
