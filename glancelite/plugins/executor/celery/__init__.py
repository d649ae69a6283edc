"""The executor ``celery``: a broker carries the tasks to the workers."""

from glancelite.plugins.executor.celery.executor import CeleryExecutor

__all__ = ['CeleryExecutor']
