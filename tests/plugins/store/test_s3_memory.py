"""How much data the store ``s3`` holds in memory while an endpoint is slow."""

import concurrent.futures
import threading
import time
import uuid

import pytest

from glancelite.testing.fakes import ClientWentAway
from tests.servers import fault_proxy

MIB = 1 << 20


def key():
    return str(uuid.uuid4())


@pytest.fixture
def release(s3_proxy):
    """Parts of uploads arrive when this event is set, or after half a minute."""
    event = threading.Event()

    def rule(request):
        if 'partNumber=' in request.path:
            event.wait(30)
        return fault_proxy.PASS
    s3_proxy.rule = rule
    return event


@pytest.mark.parametrize('size', [None, 200 * MIB], ids=['unknown', 'known'])
def test_a_slow_endpoint_slows_down_the_source(make_s3, s3_proxy, release, size):
    store = make_s3(host=s3_proxy.url, large_object_chunk_size=5, upload_memory=20)
    pulled = []

    def source():
        for number in range(200):
            pulled.append(number)
            yield b'x' * MIB
            if number == 24:
                raise ClientWentAway

    with concurrent.futures.ThreadPoolExecutor() as pool:
        task = pool.submit(store.write, key(), source(), size=size)
        while len(s3_proxy.requests) < 5:   # HEAD, the start of the upload, three parts
            time.sleep(0.01)
        time.sleep(0.3)
        held = len(pulled)
        release.set()

        with pytest.raises(ClientWentAway):
            task.result()

    assert 15 <= held <= 21


def test_many_uploads_at_once_hold_two_parts_each(make_s3, s3_proxy, release):
    """Data that waits for a thread waits in the source, not in memory."""
    store = make_s3(host=s3_proxy.url, large_object_chunk_size=5, thread_pools=3)
    pulled = [0] * 4

    def source(upload):
        for _ in range(20):
            pulled[upload] += 1
            yield b'x' * MIB

    with concurrent.futures.ThreadPoolExecutor() as pool:
        tasks = [pool.submit(store.write, key(), source(upload)) for upload in range(4)]
        while sum(map(bool, pulled)) < 4 or s3_proxy.count('PUT', 'partNumber=') < 3:
            time.sleep(0.01)
        time.sleep(0.5)
        held = list(pulled)
        release.set()

        assert [task.result().size for task in tasks] == [20 * MIB] * 4

    # the first upload may hold three parts, the others two; and each reads one chunk ahead
    assert max(held) <= 16
    assert sum(held) <= 4 * 11 + 5
