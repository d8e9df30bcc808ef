"""The Celery side: tasks that wrap functions of core, and the sending of them."""
