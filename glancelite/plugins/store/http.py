"""Images on web servers, which are read and never written."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

from oslo_config import cfg

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.support import outbound

LOG = logging.getLogger(__name__)

CHUNK = 1 << 20
_CONTENT_RANGE = re.compile(r'bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)\Z', re.ASCII)


class HTTPStore(contract.Store):
    """Follows URLs of users, as far as ``[import_filtering_opts]`` lets them send us.

    Those are loopback and link-local addresses only if ``allowed_hosts`` names them, and ports
    other than 80 and 443 only if ``allowed_ports`` does; the same holds for redirects.
    Certificates are not checked, as in Glance, until ``https_insecure`` is false or
    ``https_ca_certificates_file`` is set. A service has one such store at most.
    """

    OPTS = (
        cfg.StrOpt('https_ca_certificates_file',
                   help='File with the certificate authorities, in PEM, that the certificates of '
                        'web servers are checked against; goes before https_insecure.'),
        cfg.BoolOpt('https_insecure', default=True,
                    help='Do not check the certificates of web servers: whoever is on the way '
                         'to them can then send other data. Set it to false, unless all web '
                         'servers are yours and images have hashes that are checked.'),
        cfg.DictOpt('http_proxy_information', default={}, secret=True,
                    sample_default='http:10.0.0.1:3128, https:10.0.0.1:1080',
                    help='Proxies: comma-separated scheme:proxy. It is the proxy then that looks '
                         'hosts up and connects to them, so it should refuse loopback and '
                         'link-local addresses itself.'),
        cfg.FloatOpt('http_connect_timeout', default=10, min=0.1,
                     help='Seconds to wait for a connection to a web server.'),
        cfg.FloatOpt('http_read_timeout', default=60, min=0.1,
                     help='Seconds to wait for the next bytes of a web server; in any time that '
                          'long in which we wait for it, it also has to send 1 KiB/s.'),
    )
    LIBRARY_OPTS = (outbound.register,)
    CAPABILITIES = frozenset({'range', 'adopt'})
    SCHEMES = PUBLIC_SCHEMES = ('http', 'https')

    def __init__(self, options, host, *, name='http', conf=None):
        super().__init__(options, host, name=name, conf=conf)
        verify = options.https_ca_certificates_file or not options.https_insecure
        self._certificates = 'checked' if verify else 'not checked'
        if not verify:
            LOG.warning('store %s does not check the certificates of web servers, so that anybody '
                        'on the way can replace images: set https_insecure = false', name)
        self._client = outbound.Client(
            outbound.Rules(conf), verify=verify, proxies=options.http_proxy_information,
            connect_timeout=options.http_connect_timeout,
            read_timeout=options.http_read_timeout)

    # what the service asks

    def read(self, url, *, offset=0, length=None, ctx=None):
        if offset == 0 and length is None:
            return _Body(self._open('GET', url), None)
        if length == 0:
            _reach(offset, self.size(url))
            return iter(())
        last = '' if length is None else offset + length - 1
        reply = self._open('GET', url, {'Range': f'bytes={offset}-{last}'})
        try:
            return self._part(reply, url, offset, length)
        except BaseException:
            reply.close()
            raise

    def size(self, url, *, ctx=None):
        reply = self._open('HEAD', url)
        reply.forget()
        # 0 is what some say who have not looked
        if reply.status < 300 and (size := _length(reply)):
            return size
        reply = self._open('GET', url, {'Range': 'bytes=0-0'})
        reply.forget()
        size = _length(reply) if reply.status == 200 else _extent(reply)[2]
        if size is None:
            raise contract.Unavailable('The web server does not say how long the data is.')
        return size

    def owns(self, url):
        return url.partition('://')[0].lower() in self.SCHEMES and '://' in url

    def adopt(self, url, *, ctx=None):
        target = self._client.check(url)
        if target.authorization:
            raise contract.Invalid('A location is shown to others: it must not have a password.')
        return url.partition('#')[0]

    def exclusive_resources(self):
        return ('all addresses on the web',)

    def health(self):
        return f'reads only; certificates are {self._certificates}'

    def close(self):
        self._client.close()

    # answers

    def _open(self, method, url, headers=None):
        """An answer with data; 416 is one as well where a part was wanted.

        What a server refuses for ``HEAD`` is left to a second question.
        """
        reply = self._client.open(method, url, headers)
        status = reply.status
        if status == 200 or (status in (206, 416) and headers):
            if _encoded(reply):
                reply.close()
                raise contract.Unavailable('The web server sends the data in another form.')
            return reply
        if status in (404, 410):
            failure = store_rules.no_data()
        elif method == 'HEAD' and status >= 400:
            return reply
        else:
            LOG.info('store %s: a web server answers with %d', self.name, status)
            failure = contract.Unavailable(f'The web server refuses the data ({status}).')
        reply.forget()
        raise failure

    def _part(self, reply, url, offset, length):
        if reply.status == 416:
            size = _extent(reply)[2]
            reply.forget()
            if size is None:
                size = self.size(url)
            _reach(offset, size)
            if offset < size:
                raise contract.Unavailable('The web server does not send this part of the data.')
            return iter(())
        if reply.status == 200:     # the whole: it does not know ranges
            size = _length(reply)
            if size is not None:
                _reach(offset, size)
            _skip(reply, offset)
            return _Body(reply, length)
        first, last, size = _extent(reply)
        if size is not None:
            _reach(offset, size)
            length = size - offset if length is None else min(length, size - offset)
        if first != offset or (length is not None and last != offset + length - 1):
            raise contract.Unavailable('The web server sends another part than we asked for.')
        return _Body(reply, last - first + 1, whole=True)


class _Body:
    """The first ``length`` bytes of a body; all of it for None.

    :param whole: so many must come.
    """

    def __init__(self, reply: outbound.Reply, length: int | None, whole: bool = False):
        self._reply = reply
        self._left = length
        self._whole = whole

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        left = self._left
        data = self._reply.read(CHUNK if left is None else min(CHUNK, left)) if left != 0 else b''
        if not data:
            self.close()
            if left and self._whole:
                raise contract.Unavailable('The web server has sent only a part of the data.')
            raise StopIteration
        if left is not None:
            self._left = left - len(data)
        return data

    def close(self) -> None:
        self._reply.close()


def _reach(offset: int, size: int) -> None:
    if offset > size:
        raise store_rules.beyond_end(size)


def _skip(reply: outbound.Reply, offset: int) -> None:
    seen = 0
    while seen < offset:
        data = reply.read(min(CHUNK, offset - seen))
        if not data:
            raise store_rules.beyond_end(seen)
        seen += len(data)


def _encoded(reply: outbound.Reply) -> bool:
    """Is the body something else than the bytes that were stored, such as compressed?"""
    return reply.headers.get('content-encoding', '').strip().lower() not in ('', 'identity')


def _length(reply: outbound.Reply) -> int | None:
    """Length of the body; None if it is not certain."""
    text = reply.headers.get('content-length', '').strip()
    if 'transfer-encoding' in reply.headers or not (text.isascii() and text.isdecimal()):
        return None
    return int(text)


def _extent(reply: outbound.Reply) -> tuple[int | None, int | None, int | None]:
    """First byte, last byte and size of the whole, as far as they are known."""
    found = _CONTENT_RANGE.match(reply.headers.get('content-range', '').strip())
    if not found:
        return None, None, None
    first, last, size = (int(text) if text and text != '*' else None for text in found.groups())
    return first, last, size
