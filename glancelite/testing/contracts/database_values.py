"""Values that the suites about databases share."""

from __future__ import annotations

import concurrent.futures
import datetime
import uuid

from glancelite import contract
from glancelite.contract import Image, Location

SECOND = datetime.timedelta(seconds=1)


def rich(image_id: str | None = None, **fields) -> Image:
    """An image with a bit of everything."""
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


def race(runners: int, run) -> list:
    """What those got who were not refused, when all start together."""
    def one(n):
        try:
            return run(n)
        except (contract.Conflict, contract.NotFound):
            return None

    with concurrent.futures.ThreadPoolExecutor(runners) as pool:
        return [got for got in pool.map(one, range(runners)) if got is not None]
