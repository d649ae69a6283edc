"""Bodies are read in chunks that follow the speed of the client; answers hold their images."""

import io
import weakref

import pytest

from glancelite import contract
from glancelite.api import json_body, message
from glancelite.support import buffers

MIB = 1 << 20


def request(data, **environ):
    return message.Request({'REQUEST_METHOD': 'PUT', 'wsgi.input': io.BytesIO(data), **environ},
                           json_body.JSONParser())


@pytest.mark.parametrize('environ', [
    {'CONTENT_LENGTH': str(20 * MIB)},
    {'HTTP_TRANSFER_ENCODING': 'chunked', 'wsgi.input_terminated': True},
])
def test_chunks_are_large_after_a_client_has_been_fast_for_long(clock, environ, monkeypatch):
    monkeypatch.setattr(message, 'FAST_CHUNKS', 3)
    monkeypatch.setattr(message, 'LARGE_CHUNK', 4 * MIB)
    seconds = iter([0.001, 0.001, 0.005, 0.010, 0.100, 0.001, 0.001, 0.020, 0.001, 0.001, 0.001,
                    0.001])
    sizes = []

    for chunk in request(bytes(20 * MIB), **environ).chunks():
        sizes.append(len(chunk) // MIB)
        clock.now += next(seconds)

    assert sizes == [1, 1, 1, 4, 4, 1, 1, 1, 1, 1, 1, 3]


def test_the_last_chunk_has_the_remaining_bytes(clock):
    chunks = list(request(bytes(MIB + 5), CONTENT_LENGTH=str(MIB + 5)).chunks())

    assert list(map(len, chunks)) == [MIB, 5]


@pytest.mark.parametrize(('environ', 'kinds'), [
    ({'CONTENT_LENGTH': str(MIB + 5), 'glancelite.readinto': True}, [memoryview, memoryview]),
    ({'CONTENT_LENGTH': str(MIB + 5)}, [bytes, bytes]),
    ({'HTTP_TRANSFER_ENCODING': 'chunked', 'wsgi.input_terminated': True,
      'glancelite.readinto': True}, [memoryview, memoryview]),
])
def test_a_server_that_supports_it_fills_buffers(clock, environ, kinds):
    data = bytes(range(256)) * 4096 + b'tail!'

    chunks = list(request(data, **environ).chunks(pool=buffers.Pool()))

    assert list(map(type, chunks)) == kinds
    assert b''.join(chunks) == data


def test_small_bodies_need_no_buffers(clock):
    chunks = list(request(b'12345', CONTENT_LENGTH='5', **{'glancelite.readinto': True}).chunks(
        pool=buffers.Pool()))

    assert chunks == [b'12345']
    assert type(chunks[0]) is bytes


def test_a_body_that_middleware_wrapped_is_read_without_buffers(clock):
    class Wrapped:
        read = io.BytesIO(bytes(MIB)).read

    wrapped = request(b'', CONTENT_LENGTH=str(MIB), **{'glancelite.readinto': True})
    wrapped.environ['wsgi.input'] = Wrapped()

    assert list(map(type, wrapped.chunks(pool=buffers.Pool()))) == [bytes]


def test_the_data_of_a_body_can_be_watched_if_the_server_allows_it(clock):
    watched = []

    class Source(io.BytesIO):
        watch = watched.append

    plain, request_ = (request(b'12345', CONTENT_LENGTH='5') for _ in range(2))
    request_.environ['wsgi.input'] = Source(b'12345')
    data = request_.data(buffers.Pool())
    data.watch(print)

    assert (list(data), watched) == ([b'12345'], [print])
    assert list(plain.data(buffers.Pool())) == [b'12345']
    assert not hasattr(plain.data(buffers.Pool()), 'watch')


def test_a_body_that_ends_early_is_invalid(clock):
    chunks = request(bytes(MIB + 5), CONTENT_LENGTH=str(MIB + 6)).chunks()
    next(chunks)
    next(chunks)

    with pytest.raises(contract.Invalid, match='1 bytes early'):
        next(chunks)


def test_a_large_answer_keeps_what_it_is_made_of_until_the_server_closes_it():
    class Images(list):
        """A list that can be referred to weakly."""

    def kept(body):
        images = Images()
        found = weakref.ref(images)
        pieces = message.Response.json(body, made_of=images)({}, lambda *head: None)
        del images
        return found() is not None, list(pieces)

    large = b'x' * (message.LARGE_ANSWER + 1)
    assert kept(large) == (True, [large])
    assert kept(b'{}') == (False, [b'{}'])
