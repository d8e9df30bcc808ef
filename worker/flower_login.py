"""`python -m worker.flower_login`: whether Flower may start with the login it is given."""

import sys

from core.settings import flower_login
from core.weak_secrets import WeakSecret

if __name__ == "__main__":
    try:
        flower_login()
    except WeakSecret as error:
        sys.exit(f"orderlog: {error}")
