"""The order service itself; knows nothing of Flask, Celery or Redis."""
