"""Many imports of a small image."""

import concurrent.futures
import gzip
import hashlib
import json

from tests.servers import process

DATA = b'one of many' * 1000
COMPRESSED = gzip.compress(DATA, 1)


def begin(cluster, uri, count):
    """Begin imports at both nodes at once; return the ids of their images."""
    def one(number):
        with cluster.client(number % 2) as client:
            image_id = client.create()
            status, body = client.ask('POST', f'/v2/images/{image_id}/import', json.dumps(
                {'method': {'name': 'web-download', 'uri': uri}}))
            assert status == 202, body
            return image_id
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        return list(pool.map(one, range(count)))


def listed(image_ids):
    return ', '.join(f"'{image_id}'" for image_id in image_ids)


def succeeded(cluster, image_ids, *, once=True, meanwhile=lambda: None):
    """Wait until all imports have succeeded; return the ids of their tasks.

    :param once: at the first attempt.
    :param meanwhile: called until they have.
    """
    tasks = ('SELECT id, status, attempt, message FROM tasks JOIN task_info ON id = task_id '
             f'WHERE image_id IN ({listed(image_ids)})')
    left = f"{tasks} AND status IN ('pending', 'processing')"
    assert process.until(lambda: meanwhile() or not cluster.rows(left), 300), cluster.rows(left)
    found = cluster.rows(tasks)
    assert {(status, message) for _, status, _, message in found} == {('success', '')}
    if once:
        assert {attempt for _, _, attempt, _ in found} == {1}
    assert len(found) == len(image_ids)
    with cluster.client() as client:
        images = client.images()
    for image_id in image_ids:
        assert images[image_id]['status'] == 'active'
        assert images[image_id]['os_hash_value'] == hashlib.sha512(DATA).hexdigest()
    return [row[0] for row in found]
