"""A program with the server and a test application, which can misbehave on request.

It is started by tests/servers/ready.py.
"""

import hashlib
import json
import logging
import os
import pathlib
import resource
import sys
import time
import urllib.parse

from oslo_config import cfg

from glancelite import server
from glancelite.server import connection

OPTS = (cfg.StrOpt('greeting', default='hello'), cfg.StrOpt('broken'),
        cfg.IntOpt('open_files'), cfg.BoolOpt('log_to_file', default=False),
        cfg.FloatOpt('start_seconds', default=0), cfg.FloatOpt('body_wait'))


class Lab:
    """Each path has a behaviour of its own; see the methods."""

    def __init__(self, conf):
        if conf.broken:
            raise ValueError(conf.broken)
        time.sleep(conf.start_seconds)
        self._greeting = conf.greeting
        self._folder = pathlib.Path(sys.argv[1]).parent
        with open(self._folder / 'built', 'a') as log:
            log.write('built\n')

    def __call__(self, environ, start_response):
        name, *rest = environ['PATH_INFO'].strip('/').split('/')
        query = dict(urllib.parse.parse_qsl(environ['QUERY_STRING']))
        return getattr(self, 'do_' + name)(environ, start_response, *rest, **query)

    def close(self):
        with open(self._folder / 'closed', 'a') as log:
            log.write('closed\n')

    def do_hello(self, environ, start_response):
        return self._text(start_response, self._greeting)

    def do_pid(self, environ, start_response):
        return self._text(start_response, str(os.getpid()))

    def do_environ(self, environ, start_response, *rest, **query):
        return self._json(start_response, {name: value for name, value in environ.items()
                                           if isinstance(value, str | bool)})

    def do_digest(self, environ, start_response, piece='1048576'):
        """Size and digest of the body; errors are written to the file ``failure``."""
        digest, size, pieces = hashlib.sha256(), 0, []
        try:
            while data := environ['wsgi.input'].read(int(piece)):
                digest.update(data)
                size += len(data)
                pieces.append(len(data))
        except OSError as exc:
            kinds = [kind.__name__ for kind in type(exc).__mro__]
            (self._folder / 'failure').write_text(json.dumps([kinds, str(exc)]))
            raise
        return self._json(start_response, {'size': size, 'sha256': digest.hexdigest(),
                                           'largest': max(pieces, default=0)})

    def do_watched(self, environ, start_response, looks):
        """Digest of the body, or 410 if the server has looked this often before its end."""
        counts = iter(range(int(looks) - 1))

        def look():
            if next(counts, None) is None:
                raise LookupError
        body, digest, buffer = environ['wsgi.input'], hashlib.sha256(), bytearray(1 << 20)
        body.watch(look)
        try:
            while size := body.readinto(buffer):
                digest.update(buffer[:size])
        except LookupError:
            start_response('410 Gone', [('Content-Length', '4')])
            return [b'gone']
        return self._text(start_response, digest.hexdigest())

    def do_lines(self, environ, start_response, how, size='-1'):
        body = environ['wsgi.input']
        if how == 'each':
            lines = list(body)
        elif how == 'all':
            lines = body.readlines()
        elif how == 'sized':
            lines = list(iter(lambda: body.readline(int(size)), b''))
        else:
            lines = [body.readline(), body.read(3), body.readline(), body.read()]
        return self._json(start_response, [line.decode() for line in lines])

    def do_early(self, environ, start_response, code):
        """Respond at once, without reading the body."""
        text = b'no, thanks'
        start_response(f'{code} Whatever', [('Content-Length', str(len(text)))])
        return [text]

    def do_empty(self, environ, start_response, code):
        start_response(f'{code} Whatever', [])
        return []

    def do_bare(self, environ, start_response, code):
        """Send a body with a status that forbids one."""
        start_response(f'{code} Whatever', [('Content-Length', '4')])
        return [b'body']

    def do_stream(self, environ, start_response, count='5', pause='0'):
        """Pieces of 64 KiB, without a length."""
        start_response('200 OK', [])
        for number in range(int(count)):
            yield bytes([number % 251]) * (1 << 16)
            time.sleep(float(pause))

    def do_file(self, environ, start_response, offset='0', length=None, buffer='-1'):
        """A part of ``data``; its position on closing is written to the file ``position``."""
        data = self._folder / 'data'
        source = _Recorded(data.open('rb', int(buffer)), self._folder / 'position')
        source.seek(int(offset))
        headers = [('Content-Length', length)] if length is not None else []
        start_response('200 OK', headers)
        return environ['wsgi.file_wrapper'](source)

    def do_much(self, environ, start_response, size):
        """A complete answer of this size."""
        start_response('200 OK', [('Content-Length', size)])
        return [bytes(int(size))]

    def do_plugin(self, environ, start_response):
        """A stream from a path that is not known as one of transfers."""
        start_response('200 OK', [('Content-Length', '4')])
        return iter([b'data'])

    def do_identified(self, environ, start_response, name):
        start_response('200 OK', [('X-Openstack-Request-Id', name), ('Content-Length', '2')])
        return [b'id']

    def do_short(self, environ, start_response):
        start_response('200 OK', [('Content-Length', '100')])
        return [b'not a hundred']

    def do_fail(self, environ, start_response):
        raise RuntimeError('secret detail')

    def do_fail_late(self, environ, start_response):
        start_response('200 OK', [])
        yield b'begun'
        raise RuntimeError('secret detail')

    def do_split(self, environ, start_response):
        start_response('200 OK', [('X-Bad', 'a\r\nSet-Cookie: b')])
        return [b'']

    def do_sleep(self, environ, start_response, seconds):
        time.sleep(float(seconds))
        return self._text(start_response, 'rested')

    def do_kill(self, environ, start_response):
        os._exit(7)

    def _json(self, start_response, value):
        return self._text(start_response, json.dumps(value), 'application/json')

    @staticmethod
    def _text(start_response, text, kind='text/plain'):
        start_response('200 OK', [('Content-Type', kind), ('Content-Length', str(len(text)))])
        return [text.encode()]


class _Recorded:
    """A file that records its position when it is closed."""

    def __init__(self, source, record):
        self._source = source
        self._record = record

    def __getattr__(self, name):
        return getattr(self._source, name)

    def close(self):
        self._record.write_text(str(self._source.tell()))
        self._source.close()


def read_conf():
    conf = cfg.ConfigOpts()
    conf.register_opts(server.OPTS)
    conf.register_opts(OPTS)
    conf(['--config-file', sys.argv[1]], project='lab')
    if conf.log_to_file:
        logging.basicConfig(level=logging.INFO, format='[%(name)s] %(message)s',
                            filename=pathlib.Path(sys.argv[1]).with_name('log'))
    if conf.body_wait:
        connection.BODY_WAIT = conf.body_wait
    if conf.open_files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (conf.open_files, conf.open_files))
    return conf


def is_transfer(path):
    return path.startswith(('/file', '/stream', '/watched'))


def main():
    return server.serve(read_conf, Lab, is_transfer=is_transfer)
