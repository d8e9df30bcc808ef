"""The Celery application; reads celeryconfig.py when first used, and connects to nothing until then."""

from celery import Celery

from worker import task_logs

app = Celery("orderlog")
app.config_from_object("celeryconfig")
task_logs.connect()
