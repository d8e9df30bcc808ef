"""The settings of this worker or Beat, loaded when first needed."""

import sys
from functools import cache

from core.settings import MissingSetting, Settings, WrongSetting


@cache
def settings() -> Settings:
    """Raises SystemExit, so that the process ends with one sentence."""
    try:
        return Settings.load()
    except (MissingSetting, WrongSetting) as error:
        sys.exit(f"orderlog: {error}")
