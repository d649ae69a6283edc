"""Importers, a step and an executor that tests of imports use, and what they look at."""

from glancelite import contract
from glancelite.contract import Importer, Step
from glancelite.domain import imports as rules
from glancelite.services.imports import ImportRequest

CONTENT = [b'first ' * 1000, b'second ' * 1000, b'third ' * 1000]
DATA = b''.join(CONTENT)


class Fetched(Importer):
    """Fetches ``CONTENT`` in chunks, from where it has stopped."""

    def fetch(self, job):
        start = len(CONTENT) if job.staged_size >= len(DATA) else [
            sum(map(len, CONTENT[:n])) for n in range(len(CONTENT))].index(job.staged_size)
        job.append(iter(CONTENT[start:]), total=len(DATA))


class Direct(Importer):
    STARTS_FROM = 'uploading'


class Copy(Importer):
    STARTS_FROM = 'active'
    ACTION = 'copy_image'
    STAGES = False


class Reversed(Step):
    """Replaces the data by its reverse."""

    def run(self, job):
        job.replace([b''.join(job.read())[::-1]])
        job.change(properties={'reversed': 'yes'}, min_disk=3)


class Waiting(contract.Executor):
    """Leaves the tasks to the test."""

    def start(self, work, *, serves):
        pass

    def submit(self, task):
        pass


def begin(core, ctx, image, name='glance-direct', *, arguments=contract.EMPTY, **request):
    return core.use_cases.imports.begin(
        ctx, image.id, ImportRequest({'name': name, **arguments}, **request))


def run(core):
    while core.use_cases.work.run():
        pass


def data_in(core, name):
    """The objects of a store: key -> data."""
    return {key: b''.join(data) for key, data in core.layers.stores[name].driver._data.items()}


def staged_data(core):
    return dict(core.layers.staging._store.driver._data)


def lists(image):
    return (image.properties.get(rules.TO_STORES), image.properties.get(rules.FAILED),
            image.properties.get(rules.LOCK))


def task_of(core, task):
    return core.layers.database.tasks.get(task.id)
