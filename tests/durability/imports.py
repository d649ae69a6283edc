"""Imports by each method."""

import gzip
import random

from tests.durability import stores
from tests.durability.cluster import MIB

DATA = random.Random(12).randbytes(4 * MIB + 12345)
#: what clients stage, and web servers have
COMPRESSED = gzip.compress(DATA, 1)
#: method -> the phases of its imports
METHODS = {
    'glance-direct': ('begin', 'fetch', 'step:decompression', 'store', 'end'),
    'web-download': ('begin', 'fetch', 'step:decompression', 'store', 'end'),
    'copy-image': ('begin', 'store', 'end'),
}


def begin(cluster, method, web, watch=None):
    """Begin an import into all stores; return the id of its task.

    :param web: a server with COMPRESSED.
    """
    request = {'stores': list(stores.NAMES)}
    named = {'name': method}
    with cluster.client() as client:
        image_id = client.create()
        if method == 'glance-direct':
            status, body = client.ask('PUT', f'/v2/images/{image_id}/stage', COMPRESSED,
                                      'application/octet-stream')
            assert status == 204, body
        elif method == 'copy-image':
            assert client.upload(image_id, DATA) == 204
            request = {'stores': [stores.NAMES[1]]}
        else:
            named['uri'] = web.url
    return cluster.begin(image_id, named, node=1, watch=watch, **request)
