"""Clients that transfer image data: uploads from memory, downloads that are thrown away."""

import contextlib
import mmap
import os
import random
import socket
import statistics
import threading
import time

import load

GIB = 1 << 30
MIB = 1 << 20
CHUNK_SIZE = 64 << 10       # size of the chunks of glanceclient and openstacksdk
BLOCK = 64 * MIB            # amount of random bytes, sent repeatedly
RECEIVE_SIZE = 1 << 20


def resident_memory(size):
    """Return anonymous memory whose pages are all allocated."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)


class Source:
    """Random bytes in memory, which the kernel can send without a copy.

    Many virtual machines return free memory to their host.  Allocating a page
    again costs ten times as much as writing to it (observed: 2.8 instead of
    0.25 CPU seconds per GiB), which would hide the cost of an upload.  So
    ``prepare`` allocates the memory before, and ``send`` frees it as the
    server needs it.
    """

    def __init__(self):
        self._fd = os.memfd_create('bench')
        for _ in range(BLOCK // (8 * MIB)):
            os.write(self._fd, os.urandom(8 * MIB))
        self._spare = []
        self._due = 0

    def memory(self):
        """Return the bytes; they are more than the CPU caches hold."""
        return memoryview(mmap.mmap(self._fd, BLOCK, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE,
                                    prot=mmap.PROT_READ))

    def prepare(self, size):
        """Allocate memory for the receiver of ``size`` bytes."""
        self._spare = [resident_memory(BLOCK) for _ in range(size // BLOCK + 2)]
        self._due = 0
        for block in self._spare[:2]:
            block.close()
        del self._spare[:2]

    def _free(self, size):
        """Free the memory that the receiver of ``size`` more bytes needs."""
        self._due += size
        while self._due >= BLOCK and self._spare:
            self._due -= BLOCK
            self._spare.pop().close()

    def send(self, sock, size, offset=0):
        """Send ``size`` bytes, from ``offset`` of the endlessly repeated source."""
        out, offset = sock.fileno(), offset % BLOCK
        while size:
            sent = os.sendfile(out, self._fd, offset, min(size, BLOCK - offset))
            self._free(sent)
            size -= sent
            offset = (offset + sent) % BLOCK

    def save(self, path, size):
        """Write a file of ``size`` bytes."""
        with open(path, 'wb', buffering=0) as out:
            written = 0
            while written < size:
                offset = written % BLOCK
                written += os.sendfile(out.fileno(), self._fd, offset,
                                       min(size - written, BLOCK - offset))


def upload(target, source, image_id, size, chunked=False):
    """Upload ``size`` bytes as the data of an image."""
    length_header = 'Transfer-Encoding: chunked' if chunked else f'Content-Length: {size}'
    with target.connect() as sock:
        sock.setblocking(True)      # sendfile() needs a socket without a timeout
        sock.sendall(target.head('PUT', f'/v2/images/{image_id}/file',
                                 'Content-Type: application/octet-stream', length_header))
        if chunked:
            for offset in range(0, size, CHUNK_SIZE):
                length = min(CHUNK_SIZE, size - offset)
                sock.send(f'{length:x}\r\n'.encode(), socket.MSG_MORE)
                source.send(sock, length, offset)
                sock.send(b'\r\n', socket.MSG_MORE)
            sock.sendall(b'0\r\n\r\n')
        else:
            source.send(sock, size)
        sock.settimeout(load.TIMEOUT)
        status, _, body = load.read_answer(sock)
    if status != 204:
        raise load.UnexpectedAnswer(f'{target.url}: the upload answered {status}: {body[:300]!r}')


def download(target, path, expect=None, *headers):
    """Download without keeping the data: the kernel discards it without a copy.

    :param expect: the least number of bytes that must arrive.
    :returns: the number of bytes.
    """
    buffer = memoryview(bytearray(RECEIVE_SIZE))
    with target.connect() as sock:
        sock.sendall(target.head('GET', path, *headers))
        status, received_headers, first = load.read_head(sock)
        if status not in (200, 206):
            raise load.UnexpectedAnswer(f'{target.url}: GET {path} answered {status}')
        match = load.LENGTH.search(received_headers)
        received, length = len(first), int(match[1]) if match else -1
        while received != length:
            more = sock.recv_into(buffer, RECEIVE_SIZE, socket.MSG_TRUNC)
            if not more:
                break
            received += more
    if (expect is not None and received < expect) or (length >= 0 and received != length):
        raise load.UnexpectedAnswer(f'{target.url}: GET {path} returned {received} bytes')
    return received


def run_parallel(jobs):
    """Run each function in a thread.

    :returns: seconds until all have returned.
    """
    failures = []

    def guarded(job):
        try:
            job()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return time.perf_counter() - begin


def ranges(target, path, size, *, clients, seconds, length=4 * MIB):
    """Download random ranges of one image; each client sends one request at a time."""
    results = load.Results()
    generator = random.Random(7)
    until = time.perf_counter() + seconds

    def client():
        while time.perf_counter() < until:
            begin = generator.randrange(0, max(1, size - length))
            end = min(size, begin + length) - 1
            sent = time.perf_counter()
            received = download(target, path, end + 1 - begin, f'Range: bytes={begin}-{end}')
            if received != end + 1 - begin:
                raise load.UnexpectedAnswer(
                    f'{target.url} ignores the header Range: {received} bytes')
            results.latencies.append(time.perf_counter() - sent)
            results.payload += received

    results.seconds = run_parallel([client] * clients)
    results.requests = len(results.latencies)
    return results


class SlowReaders:
    """Many clients that each read ``rate`` bytes per second."""

    TICK = 0.05

    def __init__(self, target, path, count, rate=MIB):
        self._target, self._path = target, path
        self._count, self._rate = count, rate
        self.received = [0] * count

    def served(self, seconds):
        """Return how many clients received at least 80 % of their rate."""
        return sum(received > 0.8 * self._rate * seconds for received in self.received)

    def run(self, seconds):
        buffer = memoryview(bytearray(RECEIVE_SIZE))
        with contextlib.ExitStack() as stack:
            socks = []
            for _ in range(self._count):
                sock = self._target.connect(receive_buffer=64 << 10)
                socks.append(stack.enter_context(sock))
                sock.sendall(self._target.head('GET', self._path))
                sock.setblocking(False)
            begin = time.perf_counter()
            while (passed := time.perf_counter() - begin) < seconds:
                due = int(self._rate * passed)
                for number, sock in enumerate(socks):
                    self._read(number, sock, due, buffer)
                time.sleep(self.TICK)

    def _read(self, number, sock, due, buffer):
        while (room := min(RECEIVE_SIZE, due - self.received[number])) > 0:
            try:
                received = sock.recv_into(buffer, room, socket.MSG_TRUNC)
            except BlockingIOError:
                return
            if not received:
                return
            self.received[number] += received


def probe_latency(target, request, seconds, timeout=5.0):
    """Measure the latency of a request that is sent every 50 ms.

    :returns: ``(median, worst, sent, failed)``; a request without an answer in
        ``timeout`` seconds has failed, and counts with this time.
    """
    times, failed, until = [], 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        begin = time.perf_counter()
        try:
            with target.connect() as sock:
                sock.settimeout(timeout)
                sock.sendall(request)
                load.read_answer(sock)
        except (OSError, load.UnexpectedAnswer):
            failed += 1
        times.append(min(timeout, time.perf_counter() - begin))
        time.sleep(0.05)
    return statistics.median(times), max(times), len(times), failed
