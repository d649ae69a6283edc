"""Clients that move image bytes: uploads from memory, downloads to nowhere."""

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
PIECE = 64 << 10            # what glanceclient and openstacksdk send as one chunk
BLOCK = 64 * MIB            # random bytes, sent again and again
SINK = 1 << 20


def touched(size):
    """Anonymous memory whose pages the machine has really been given."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)


class Source:
    """Random bytes in memory which the kernel can send without a copy.

    Many virtual machines hand free memory back to their host, and getting a
    page again costs ten times what writing to it costs (seen: 2.8 instead of
    0.25 CPU seconds per GiB).  That would drown what a server does with an
    upload, so ``prepare`` gets the memory beforehand, and ``send`` frees it
    at the pace at which the server needs it.
    """

    def __init__(self):
        self._fd = os.memfd_create('bench')
        for _ in range(BLOCK // (8 * MIB)):
            os.write(self._fd, os.urandom(8 * MIB))
        self._spare = []
        self._due = 0

    def memory(self):
        """The bytes, more of them than a cache holds."""
        return memoryview(mmap.mmap(self._fd, BLOCK, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE,
                                    prot=mmap.PROT_READ))

    def prepare(self, size):
        """Have memory at hand for the receiver of ``size`` bytes."""
        self._spare = [touched(BLOCK) for _ in range(size // BLOCK + 2)]
        self._due = 0
        for slab in self._spare[:2]:
            slab.close()
        del self._spare[:2]

    def _was_sent(self, size):
        self._due += size
        while self._due >= BLOCK and self._spare:
            self._due -= BLOCK
            self._spare.pop().close()

    def send(self, sock, size, at=0):
        """Send ``size`` bytes, from the offset ``at`` of the endless source."""
        out, at = sock.fileno(), at % BLOCK
        while size:
            sent = os.sendfile(out, self._fd, at, min(size, BLOCK - at))
            self._was_sent(sent)
            size -= sent
            at = (at + sent) % BLOCK

    def save(self, path, size):
        """Write a file of ``size`` bytes."""
        with open(path, 'wb', buffering=0) as out:
            at = 0
            while at < size:
                offset = at % BLOCK
                at += os.sendfile(out.fileno(), self._fd, offset, min(size - at, BLOCK - offset))


def upload(target, source, image_id, size, chunked=False):
    """PUT ``size`` bytes as the data of an image."""
    how = 'Transfer-Encoding: chunked' if chunked else f'Content-Length: {size}'
    with target.connect() as sock:
        sock.setblocking(True)      # sendfile() on a socket with a timeout would be refused
        sock.sendall(target.head('PUT', f'/v2/images/{image_id}/file',
                                 'Content-Type: application/octet-stream', how))
        if chunked:
            for at in range(0, size, PIECE):
                piece = min(PIECE, size - at)
                sock.send(f'{piece:x}\r\n'.encode(), socket.MSG_MORE)
                source.send(sock, piece, at)
                sock.send(b'\r\n', socket.MSG_MORE)
            sock.sendall(b'0\r\n\r\n')
        else:
            source.send(sock, size)
        sock.settimeout(load.TIMEOUT)
        status, _, body = load.read_answer(sock)
    if status != 204:
        raise load.Broken(f'{target.url}: the upload answered {status}: {body[:300]!r}')


def download(target, path, expect=None, *extra):
    """GET and throw away; the kernel drops the bytes without handing them over.

    :returns: the number of bytes.
    """
    nowhere = memoryview(bytearray(SINK))
    with target.connect() as sock:
        sock.sendall(target.head('GET', path, *extra))
        status, headers, first = load.read_head(sock)
        if status not in (200, 206):
            raise load.Broken(f'{target.url}: GET {path} answered {status}')
        length = load.LENGTH.search(headers)
        got, wanted = len(first), int(length[1]) if length else -1
        while got != wanted:
            more = sock.recv_into(nowhere, SINK, socket.MSG_TRUNC)
            if not more:
                break
            got += more
    if (expect is not None and got < expect) or (wanted >= 0 and got != wanted):
        raise load.Broken(f'{target.url}: GET {path} gave {got} bytes')
    return got


def together(jobs):
    """Run functions in threads at once; :returns: seconds until the last is done."""
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
    """Random parts of one image, each client one after the other."""
    tally = load.Tally()
    dice = random.Random(7)
    until = time.perf_counter() + seconds

    def client():
        while time.perf_counter() < until:
            begin = dice.randrange(0, max(1, size - length))
            end = min(size, begin + length) - 1
            sent = time.perf_counter()
            got = download(target, path, end + 1 - begin, f'Range: bytes={begin}-{end}')
            if got != end + 1 - begin:
                raise load.Broken(f'{target.url}: ignores Range ({got} bytes)')
            tally.latencies.append(time.perf_counter() - sent)
            tally.payload += got

    tally.seconds = together([client] * clients)
    tally.requests = len(tally.latencies)
    return tally


class SlowReaders:
    """Many clients that each take ``rate`` bytes per second and no more."""

    TICK = 0.05

    def __init__(self, target, path, count, rate=MIB):
        self._target, self._path = target, path
        self._count, self._rate = count, rate
        self.received = [0] * count

    def served(self, seconds):
        """How many got at least four fifths of what they could have taken."""
        return sum(got > 0.8 * self._rate * seconds for got in self.received)

    def run(self, seconds):
        nowhere = memoryview(bytearray(SINK))
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
                    self._take(number, sock, due, nowhere)
                time.sleep(self.TICK)

    def _take(self, number, sock, due, nowhere):
        while (room := min(SINK, due - self.received[number])) > 0:
            try:
                got = sock.recv_into(nowhere, room, socket.MSG_TRUNC)
            except BlockingIOError:
                return
            if not got:
                return
            self.received[number] += got


def latency_meanwhile(target, request, seconds, patience=5.0):
    """How long single metadata requests take, one every 50 ms.

    :returns: ``(median, worst, asked, failed)``; a request counts as failed,
        with ``patience`` as its time, if no answer came until then.
    """
    times, failed, until = [], 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        begin = time.perf_counter()
        try:
            with target.connect() as sock:
                sock.settimeout(patience)
                sock.sendall(request)
                load.read_answer(sock)
        except (OSError, load.Broken):
            failed += 1
        times.append(min(patience, time.perf_counter() - begin))
        time.sleep(0.05)
    return statistics.median(times), max(times), len(times), failed
