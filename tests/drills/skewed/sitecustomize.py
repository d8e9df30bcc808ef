"""Python imports this at its start when its folder is on PYTHONPATH: the wall clock goes CLOCK_SKEW seconds ahead.

`time.time` and `datetime.now` are all that the service, Celery and kombu ask for the time of day. Clocks that measure
how long something takes stay right, and so does the clock of what is not Python: PostgreSQL, Redis, the UUIDs."""

import ctypes
import gc
import os
import time
from datetime import UTC, datetime, timedelta, tzinfo

SECONDS = float(os.environ["CLOCK_SKEW"])
real_time, real_now = time.time, datetime.now


def now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:
    return real_now(tz) + timedelta(seconds=SECONDS)


def utcnow(cls: type[datetime]) -> datetime:
    return now(cls, UTC).replace(tzinfo=None)


time.time = lambda: real_time() + SECONDS
# The class itself stays, because C code knows it by its address; only Python refuses to change what belongs to C.
gc.get_referents(datetime.__dict__)[0].update(now=classmethod(now), utcnow=classmethod(utcnow))
ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))
