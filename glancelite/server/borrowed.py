"""What is taken from gunicorn: its strict parser of request heads, and nothing else."""

import types

from gunicorn import config
from gunicorn.http import errors
from gunicorn.http import message

# Which answer a refused head gets; everything else that the parser refuses is a 400.
STATUS = (
    (errors.LimitRequestLine, '414 URI Too Long'),
    (errors.LimitRequestHeaders, '431 Request Header Fields Too Large'),
    (errors.ExpectationFailed, '417 Expectation Failed'),
    (errors.UnsupportedTransferCoding, '501 Not Implemented'),
)
BAD_REQUEST = '400 Bad Request'

# What the server reads from a parsed request; `Parser` checks them once at the start.
LEANED_ON = ('method', 'uri', 'path', 'query', 'version', 'headers', 'should_close')

_SAMPLE = (b'POST /v2/images?a=b HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n'
           b'X-Forwarded-Proto: https\r\nConnection: close\r\nContent-Length: 3\r\n\r\n')


class Refused(Exception):
    """A request that cannot be served; ``status`` is the HTTP status line's end."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


class _Head:
    """One complete head, dressed as the source that the parser reads from."""

    def __init__(self, data):
        self._data = data

    def read(self, size=None, read_ahead=None):
        data, self._data = self._data, b''
        return data

    def unread(self, data):
        pass


class Parser:
    """Turns the bytes of a head into a request, or refuses them."""

    MAX_FIELDS = 200

    def __init__(self, *, max_line):
        """
        :param max_line: longest header line, in bytes.
        :raises RuntimeError: this gunicorn lacks something; the text names it.
        """
        settings = config.Config()
        settings.set('limit_request_line', message.MAX_REQUEST_LINE)
        settings.set('limit_request_fields', self.MAX_FIELDS)
        settings.set('limit_request_field_size', max_line)
        # What a proxy says about the client is for the middleware to believe or not.
        settings.set('forwarded_allow_ips', '')
        settings.set('forwarder_headers', '')
        settings.set('secure_scheme_headers', {})
        # A plain object: gunicorn's own looks every name up through two functions.
        self._settings = types.SimpleNamespace(
            **{name: setting.get() for name, setting in settings.settings.items()},
            is_ssl=False)
        self._check()

    def parse(self, head):
        """
        :param head: bytes up to and with the empty line.
        :raises Refused: it breaks a rule of HTTP or a limit.
        """
        try:
            return message.Request(self._settings, _Head(head), None)
        except errors.ParseException as exc:
            status = next((status for kind, status in STATUS if isinstance(exc, kind)),
                          BAD_REQUEST)
            raise Refused(status, str(exc)) from None
        except (errors.NoMoreData, StopIteration):
            raise Refused(BAD_REQUEST, 'the request head is incomplete') from None

    def _check(self):
        try:
            request = self.parse(_SAMPLE)
        except AttributeError as exc:
            raise RuntimeError(f'this gunicorn does not suit the server: {exc}') from exc
        for name in LEANED_ON:
            if not hasattr(request, name):
                raise RuntimeError('this gunicorn does not suit the server: '
                                   f'its Request has no {name!r}')
        expected = ('POST', '/v2/images', 'a=b', (1, 1), True, ('CONTENT-LENGTH', '3'))
        seen = (request.method, request.path, request.query, request.version,
                request.should_close(), request.headers[-1])
        if seen != expected:
            raise RuntimeError('this gunicorn does not suit the server: its Request means '
                               f'{seen!r} where {expected!r} was meant')
