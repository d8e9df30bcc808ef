"""The Celery application; reads celeryconfig.py when first used, and connects to nothing until then."""

from celery import Celery

app = Celery("orderlog")
app.config_from_object("celeryconfig")
