"""The follower with its cursor in a transaction before that of the rows, and once killed between the two."""

import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from examples import follower

KILLED = Path(sys.argv[2]).with_suffix(".killed")


class CursorFirst(sqlite3.Connection):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._rows: list[Any] = []

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if sql == follower.SAVE:
            self._rows.append(parameters)
            return self.cursor()
        done = super().execute(sql, parameters)
        if sql.startswith("REPLACE"):
            self.commit()
            if self._rows and not KILLED.exists():
                KILLED.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            self.executemany(follower.SAVE, self._rows)
            self._rows.clear()
        return done


if __name__ == "__main__":
    store = sqlite3.connect(sys.argv[2], factory=CursorFirst)
    store.executescript(follower.TABLES)
    follower.follow(sys.argv[1], store)
