"""Downloads into the staging area, which go on after a broken connection, in any process."""

from __future__ import annotations

import contextlib
import hashlib
import http
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from oslo_config import cfg

from glancelite import contract
from glancelite.support import outbound
from glancelite.support.outbound import headers

CHUNK = 1 << 20
#: bytes that a connection must bring before the next one is opened without a pause
PROGRESS = 1 << 14
#: status codes after which another attempt may succeed
_TEMPORARY = {408, 425, 429, 500, 502, 503, 504}

Request = Callable[[Mapping[str, str], Callable[[], None]], outbound.Response]
OPTS = (
    *outbound.client_opts(insecure=False),
    cfg.IntOpt('max_rate', default=0, min=0,
               help='Bytes per second that one download may have; 0 for no limit.'),
    cfg.FloatOpt('time_limit', default=86400, min=0,
                 help='Seconds that an attempt to download an image may take, also if it has '
                      'several connections; 0 for no limit. Then the import fails.'),
)


class Limits:
    """Ends a download with its job or after its time, and slows it down.

    :param check: raises an error if the job is to end.
    :param max_rate: bytes per second; 0 for no limit.
    :param time_limit: seconds; 0 for no limit.
    """

    def __init__(self, check: Callable[[], None], *, max_rate: int = 0, time_limit: float = 0,
                 clock: Callable[[], float] = time.monotonic,
                 sleep: Callable[[float], None] = time.sleep):
        self._check = check
        self._rate = max_rate
        self._limit = time_limit
        self._clock = clock
        self._sleep = sleep
        self._start = self._checked = clock()
        self._received = 0
        #: most bytes to read at once, so that the rate is even
        self.amount = min(CHUNK, max_rate or CHUNK)

    def check(self) -> None:
        """Check the job each second, and the time; may be called often.

        :raises Gone: the job is to end.
        :raises Invalid: the time is over.
        """
        now = self._clock()
        if now - self._checked >= 1:
            self._check()
            self._checked = now
        if self._limit and now - self._start > self._limit:
            raise contract.Invalid(f'The download was stopped after {self._limit:g} seconds.')

    def add(self, count: int) -> None:
        """Count bytes; wait until the average rate is as allowed."""
        self._received += count
        while True:
            self.check()
            early = (self._received / self._rate if self._rate else 0) - (
                self._clock() - self._start)
            if early <= 0:
                return
            self._sleep(min(early, 1.0))


class Download:
    """One attempt to bring data into the staging area.

    It goes on where the last one ended if the data is the same for certain:

    * The server has given a validator with the first part, a strong ETag or a date of change,
      and confirms it (``If-Range``).
    * Or the data of this address never changes (``is_fixed``).
    * Or the user has given a hash, which would detect a mixture.

    Otherwise it begins again: parts of two versions of the data would be worse than twice the
    traffic.  This is also so within one process, since a new version may come at any moment.

    :param request: sends the request with these further headers; calls the function while it
        waits.
    :param size: the number of bytes, if it is known beforehand.
    :param expected: algorithm and hash of the data.
    """

    def __init__(self, request: Request,
                 job: contract.Job, limits: Limits, *, size: int | None = None,
                 is_fixed: bool = False, expected: tuple[str, str] | None = None):
        self._send = request
        self._job = job
        self._limits = limits
        self._is_fixed = is_fixed
        self._expected = expected
        self._digest = expected and hashlib.new(expected[0], usedforsecurity=False)
        self._announced = size
        self._size = job.memory.get('size') if size is None else size
        self._validator: str | None = job.memory.get('validator')
        #: True if the data may be a mixture of two versions, as the hash will tell
        self._is_doubtful = False

    def run(self) -> None:
        """
        :raises Unavailable: another attempt may succeed.
        :raises Error: the data cannot be had.
        """
        job = self._job
        if job.staged_size and not self._can_go_on():
            job.restart()
        self._is_doubtful = bool(job.staged_size) and not self._is_certain()
        if job.staged_size and job.staged_size == self._size:
            self._hash_staged()
        else:
            with contextlib.ExitStack() as stack:
                response = self._begin()
                stack.callback(response.close)
                self._hash_staged()
                job.append(self._chunks(response), total=self._size)
        self._check_result()

    def _is_certain(self) -> bool:
        return bool(self._validator or self._is_fixed)

    def _can_go_on(self) -> bool:
        return self._is_certain() or bool(self._expected)

    def _begin(self) -> outbound.Response:
        """Return a response with the data that is not staged yet."""
        position = self._job.staged_size
        response = self._request(position)
        if position and not self._continues(response, position):
            if response.status != 200:
                response.close()
                response = self._request(0)
            self._job.restart()
            self._is_doubtful = False
            position = 0
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(response.close)
            if not position:
                self._record(response)
            limit = self._job.size_limit
            if self._size is not None and limit is not None and self._size > limit:
                raise contract.TooLarge(f'The image has {self._size} bytes; it may have '
                                        f'{limit} bytes at most.')
            on_failure.pop_all()
        return response

    def _request(self, position: int) -> outbound.Response:
        """Return a response with data, of the status 200, 206 or 416."""
        wanted = {}
        if position:
            wanted['Range'] = f'bytes={position}-'
            if self._validator:
                wanted['If-Range'] = self._validator
        response = self._send(wanted, self._limits.check)
        if response.status in ((200, 206, 416) if position else (200,)):
            if not headers.is_encoded(response.headers):
                return response
            failure: contract.Error = contract.WrongContent(
                'The web server sends the data with an encoding, such as compressed.')
        else:
            failure = refusal(response.status)
        response.close()
        raise failure

    def _record(self, response: outbound.Response) -> None:
        """Record what identifies the data, before the first byte of it is staged."""
        size = headers.content_length(response.headers)
        if None not in (self._announced, size) and size != self._announced:
            raise contract.WrongContent(f'The web server sends {size} bytes instead of '
                                        f'{self._announced}.')
        self._size = size if self._announced is None else self._announced
        self._validator = validator(response.headers)
        self._job.remember(size=self._size, validator=self._validator)

    def _continues(self, response: outbound.Response, position: int) -> bool:
        """Return whether the response is the rest of the same data."""
        first, _, size = headers.content_range(response.headers)
        if response.status != 206 or first != position:
            return False
        if self._size is None:
            self._size = size       # of data that came without a length
        if self._size is None or size not in (None, self._size):
            return False
        if not self._validator:
            self._is_doubtful = not self._is_fixed
            return True
        # some servers ignore If-Range
        name = 'etag' if self._validator.startswith('"') else 'last-modified'
        return response.headers.get(name, self._validator).strip() == self._validator

    def _hash_staged(self) -> None:
        if self._digest and self._job.staged_size:
            with contextlib.closing(self._job.read()) as chunks:    # type: ignore[type-var]
                for chunk in chunks:
                    self._digest.update(chunk)
                    self._limits.check()

    def _chunks(self, response: outbound.Response) -> Iterator[bytes]:
        """Yield the rest of the data, from several connections if need be."""
        position = self._job.staged_size
        while True:
            begin = position
            failure = contract.Unavailable('The web server sent only a part of the data.')
            try:
                for chunk in self._body(response):
                    position += len(chunk)
                    if self._size is not None and position > self._size:
                        raise contract.WrongContent('The web server sends more than the '
                                                    f'{self._size} bytes that it announced.')
                    yield chunk
                if self._size in (None, position):
                    return
            except contract.Unavailable as error:
                failure = error
            finally:
                response.close()
            if position - begin < PROGRESS or not self._can_go_on():
                raise failure
            response = self._request(position)
            if not self._continues(response, position):
                response.close()
                raise contract.Unavailable('The data has changed, or the web server sends it '
                                           'from the beginning only.')

    def _body(self, response: outbound.Response) -> Iterator[bytes]:
        while chunk := response.read_soon(self._limits.amount):
            if self._digest:
                self._digest.update(chunk)
            yield chunk
            self._limits.add(len(chunk))

    def _check_result(self) -> None:
        if self._digest is None or self._expected is None:
            return
        algorithm, expected = self._expected
        if self._digest.hexdigest() == expected:
            return
        if self._is_doubtful:
            self._job.restart()
            raise contract.Unavailable('The data has changed during the download.')
        raise contract.WrongContent(f'The {algorithm} hash of the data is '
                                    f'{self._digest.hexdigest()} instead of {expected}.')


def refusal(status: int) -> contract.Error:
    """Return the error for a status without data; users see it."""
    try:
        phrase = f' ({http.HTTPStatus(status).phrase})'
    except ValueError:
        phrase = ''
    kind: Any = contract.Unavailable if status in _TEMPORARY else contract.Invalid
    return kind(f'The web server does not send the data: it answers {status}{phrase}.')


def validator(fields: Mapping[str, str]) -> str | None:
    """Return what identifies this version of the data for ``If-Range``, or None.

    Source: RFC 9110, sections 8.8 and 13.1.5: a weak ETag is not allowed there, and a date of
    change only if it is not that of the response, since the data may change twice in a second.
    """
    etag = fields.get('etag', '').strip()
    if etag.startswith('"'):
        return etag
    changed = fields.get('last-modified', '').strip()
    if changed and not etag and changed != fields.get('date', changed).strip():
        return changed
    return None
