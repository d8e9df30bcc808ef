"""`python -m worker.flower_login`: whether Flower may start with the login it is given."""

import os
import sys

from core.weak_secrets import WeakSecret, refuse_weak_login

if __name__ == "__main__":
    try:
        refuse_weak_login("FLOWER_BASIC_AUTH", os.environ.get("FLOWER_BASIC_AUTH", ""))
    except WeakSecret as error:
        sys.exit(f"orderlog: {error}")
