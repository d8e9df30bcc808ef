"""One database session per request, over the tables that core declares."""

from pathlib import Path

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Session, sessionmaker

from core.database import metadata

db = SQLAlchemy(metadata=metadata)
migrate = Migrate(db=db, directory=str(Path(__file__).parent.parent / "migrations"))


def sessions() -> sessionmaker[Session]:
    """For commands of the service, which open a transaction per step rather than one per request."""
    return sessionmaker(db.engine)
