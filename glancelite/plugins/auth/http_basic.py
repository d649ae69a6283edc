"""User names and passwords from an htpasswd file, for a service without Keystone."""

import base64
import binascii
import dataclasses
import hashlib
import hmac
import logging
import os
import secrets
import threading
import time
from collections.abc import Mapping

from oslo_config import cfg

from glancelite import contract

LOG = logging.getLogger(__name__)

PREFIXES = ('$2y$', '$2a$', '$2b$')
#: bcrypt knows no more bytes of a password
LONGEST = 72
#: seconds between two looks at the file
LOOK = 1.0
#: how many verified passwords are remembered
MEMORY = 1024
USUAL_ROLES = ('member', 'reader')


def _register(conf):
    from oslo_middleware import opts
    for group, options in opts.list_opts_basic_auth():
        conf.register_opts(options, group=group)


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """One line of the file."""

    crypted: bytes
    context: contract.Context


@dataclasses.dataclass(frozen=True, slots=True)
class Users:
    """One version of the file, and the passwords that were right for it.

    A verified password is remembered as a keyed hash, since bcrypt is made
    to be slow: 50 ms and more for each request would be.
    """

    by_name: Mapping[str, User]
    verified: dict[bytes, tuple[float, contract.Context]] = dataclasses.field(
        default_factory=dict)
    salt: bytes = dataclasses.field(default_factory=lambda: secrets.token_bytes(32))


class HTTPBasic(contract.Authenticator):
    """Checks ``Authorization: Basic`` against ``[oslo_middleware] http_basic_auth_user_file``.

    Lines are ``user:hash``, as ``htpasswd -nB user`` writes them, or
    ``user:hash:project`` or ``user:hash:project:role,role``.  Without more, a
    user is alone in a project of the same name, with the roles member and
    reader.  A changed file counts within a second; a broken one stops the
    start, and later is reported and leaves the users as they were.
    """

    SECTION = 'http_basic'
    OPTS = (
        cfg.StrOpt('realm', default='glancelite', regex=r'^[^"\\\r\n]*$',
                   help='What the service calls itself where it asks for a password.'),
        cfg.IntOpt('cache_time', default=60, min=0,
                   help='Seconds for which a verified password is not verified again.'),
    )
    LIBRARY_OPTS = (_register,)

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        import bcrypt
        self._matches = bcrypt.checkpw
        self._path = self.conf.oslo_middleware.http_basic_auth_user_file
        self._challenge = f'Basic realm="{options.realm}", charset="UTF-8"'
        self._look = threading.Lock()
        self._next_look = time.monotonic() + LOOK
        try:
            self._seen = self._state()
            self._users = self._read()
        except (OSError, ValueError) as error:
            raise contract.Misconfigured(f'http_basic: {error}') from error

    def identify(self, environ):
        users = self._now()
        header = environ.get('HTTP_AUTHORIZATION', '')
        key = hmac.digest(users.salt, header.encode('utf-8', 'replace'), hashlib.sha256)
        until, caller = users.verified.get(key, (0.0, None))
        if caller is None or time.monotonic() >= until:
            caller = self._verify(users, header)
            if len(users.verified) >= MEMORY:
                users.verified.clear()
            users.verified[key] = time.monotonic() + self.options.cache_time, caller
        return caller

    def _verify(self, users, header):
        try:
            name, password = _credentials(header)
        except ValueError as error:
            raise self._refusal(str(error)) from None
        user = users.by_name.get(name)
        if user is None:        # takes as long as a wrong password, so that names stay unknown
            for other in users.by_name.values():
                self._same(password, other.crypted)
                break
        elif self._same(password, user.crypted):
            return user.context
        LOG.info('http_basic: user %r or their password is not known', name)
        raise self._refusal('The user name or the password is wrong.')

    def _same(self, password, crypted):
        """A password longer than bcrypt can see is wrong, not cut."""
        try:
            return self._matches(password[:LONGEST], crypted) and len(password) <= LONGEST
        except ValueError:      # such as a NUL byte
            return False

    def _refusal(self, text):
        return contract.Unauthenticated(text, challenge=self._challenge)

    def _now(self):
        if time.monotonic() >= self._next_look and self._look.acquire(blocking=False):
            try:
                self._next_look = time.monotonic() + LOOK
                self._refresh()
            finally:
                self._look.release()
        return self._users

    def _refresh(self):
        try:
            state = self._state()
            if state == self._seen:
                return
            self._seen = state      # so that a broken file is reported once
            self._users = self._read()
            LOG.info('http_basic: the users have changed')
        except (OSError, ValueError) as error:
            LOG.error('http_basic: the users stay as they were: %s', error)

    def _state(self):
        status = os.stat(self._path)
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self):
        by_name = {}
        with open(self._path, encoding='utf-8') as lines:
            for number, line in enumerate(lines, 1):
                line = line.strip()
                if line and not line.startswith('#'):
                    name, user = _user(line, f'{self._path}, line {number}')
                    by_name[name] = user
        return Users(by_name)


def _user(line, place):
    """``(name, User)``; the text of an error never shows the hash."""
    name, *rest = line.split(':')
    crypted, project, roles = [*rest, '', '', ''][:3]
    if not name or len(rest) > 3:
        raise ValueError(f'{place}: should be user:hash, user:hash:project or '
                         'user:hash:project:role,role')
    if not crypted.startswith(PREFIXES) or len(crypted) != 60:
        raise ValueError(f'{place}: the hash is not one of bcrypt; see htpasswd -B')
    names = [role.strip().lower() for role in roles.split(',') if role.strip()] or USUAL_ROLES
    project = project.strip() or name
    return name, User(crypted.encode(), contract.Context(
        user=name, user_name=name, project=project, project_name=project,
        roles=frozenset(names)))


def _credentials(header):
    """User name and password of an ``Authorization`` header.

    :raises ValueError: with what is wrong, for the caller to read.

    Source: RFC 7617.
    """
    scheme, _, token = header.strip().partition(' ')
    if scheme.lower() != 'basic':
        raise ValueError('A user name and a password are needed.')
    try:
        name, colon, password = base64.b64decode(token.strip(), validate=True).partition(b':')
        if colon:
            return name.decode(), password
    except (binascii.Error, UnicodeError, ValueError):
        pass
    raise ValueError('The Authorization header cannot be understood.')
