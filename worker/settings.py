"""The settings of this worker or Beat, loaded when first needed."""

from functools import cache

from core.settings import Settings


@cache
def settings() -> Settings:
    """Raises MissingSetting, WrongSetting."""
    return Settings.load()
