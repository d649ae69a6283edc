"""Values that the suites for databases share."""

from __future__ import annotations

import concurrent.futures
import datetime
import sys
import threading
import uuid
from collections.abc import Iterable

from glancelite import contract
from glancelite.contract import (
    Image,
    ImageQuery,
    Location,
    NamespaceQuery,
    Task,
    TaskQuery,
    Viewer,
)

SECOND = datetime.timedelta(seconds=1)


def rich(image_id: str | None = None, **fields) -> Image:
    """Return an image with a value in each field."""
    given = {
        'name': 'rich', 'status': 'active', 'owner': 'p', 'disk_format': 'qcow2',
        'container_format': 'bare', 'size': 1 << 40, 'virtual_size': 1 << 41,
        'checksum': 'c' * 32, 'os_hash_algo': 'sha512', 'os_hash_value': 'd' * 128,
        'min_disk': 3, 'min_ram': 4, 'protected': True, 'tags': ('a', 'b'),
        'properties': {'k': 'v', 'other': ''},
        'locations': (Location('file:///1', {'store': 'fast', 'weight': 3}),
                      Location('file:///2', {})),
    }
    return Image(image_id or str(uuid.uuid4()), **{**given, **fields})


def large(properties: int, **fields) -> Image:
    """Return an image with so many properties of 60 kB each, some of wide characters."""
    texts = 'x' * 60_000, '\u6f22' * 20_000, '\x01' * 60_000
    return rich(properties={f'k{n}': texts[n % 3] for n in range(properties)}, **fields)


def content(images: Iterable[Image]) -> int:
    """Return how many bytes the properties of images have."""
    return sum(len(name) + len(value.encode())
               for image in images for name, value in image.properties.items())


#: texts that some databases take for the same: they differ in case, accents or blanks
SIMILAR = (' keep', 'KEEP', 'Keep', 'ke\u0301ep', 'keep', 'keep ', 'keep  ', 'k\u00e9ep')
#: texts that some databases do not keep unchanged
ODD = ['', ' ', 'a ', "it's \"quoted\"", 'back\\slash', '100%s %(x)s :y ?', 'new\nline\ttab',
       '\x01\x7f', 'ü', 'u\u0308', 'Ü', 'ss', 'ß', 'ﬁ', '漢字', '\ufffd', '\u2028', '😀',
       "'; DROP TABLE images; --", '{"json": [1]}', 'null', 'x' * 255]
#: ids that no image can have; some databases cannot store some of them
IMPOSSIBLE = ['', '\0', 'a\0b', '\ud800', 'x' * 10_000, '😀' * 40, "' OR 1=1 --"]
#: later than all times in the suite
END = datetime.datetime(9000, 1, 1, tzinfo=datetime.UTC)
#: earlier than all times in the suite
BEGINNING = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
#: types of tasks in the suite, the second also in the service
TASK_TYPES = ('import', 'api_image_import', 'Import')


def live(images: contract.ImageRecords, limit: int | None = None) -> list[Image]:
    """Return all images that are listed, hidden or not."""
    return [image for hidden in (False, True) for image in images.list(ImageQuery(
        Viewer(None, True), 'all', hidden=hidden, limit=limit)).items]


def listed_tasks(tasks: contract.TaskRecords, limit: int | None = None) -> list[Task]:
    """Return all tasks, also those that have expired."""
    return list(tasks.list(TaskQuery(BEGINNING, types=TASK_TYPES, limit=limit)).items)


def is_empty(database: contract.Database) -> bool:
    """Return whether there are no images, deleted or not, no tasks and no definitions."""
    images = database.images
    return not (live(images, 1) or images.unfinished(now=END, deleted_before=END, limit=1)
                or listed_tasks(database.tasks, 1)
                or database.metadefs.list(NamespaceQuery(Viewer(None, True), limit=1)).items
                or database.metadefs.resource_types())


def clear(database: contract.Database) -> None:
    """Delete every image, every task and every metadata definition."""
    images = database.images
    while found := live(images):
        for image in found:
            images.delete(image, pending=False)
    while found := [*images.unfinished(now=END, deleted_before=END)]:
        for image in found:
            images.complete_delete(image)
    for task in listed_tasks(database.tasks):
        database.tasks.remove(task)
    database.metadefs.clear()


def race(runners: int, run) -> list:
    """Run ``run(n)`` in many threads at once; return the results without a conflict."""
    ready = threading.Barrier(runners)

    def one(n):
        ready.wait(10)
        try:
            return run(n)
        except (contract.Conflict, contract.NotFound):
            return None

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)     # as with one processor for each
    try:
        with concurrent.futures.ThreadPoolExecutor(runners) as pool:
            return [got for got in pool.map(one, range(runners)) if got is not None]
    finally:
        sys.setswitchinterval(interval)
