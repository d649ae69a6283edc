"""User names and passwords from an htpasswd file, for a service without Keystone."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from oslo_config import cfg

from glancelite import contract
from glancelite.support.file_watch import FileWatch

LOG = logging.getLogger(__name__)

PREFIXES = ('$2y$', '$2a$', '$2b$')
#: bcrypt ignores all further bytes of a password
MAX_PASSWORD_LENGTH = 72
#: seconds between two checks of the file
CHECK_INTERVAL = 1.0
#: most verified passwords in the cache
CACHE_SIZE = 1024
DEFAULT_ROLES = ('member', 'reader')
USER_FILE = '[oslo_middleware] http_basic_auth_user_file'
USER_FILE_HELP = """\
File with the users of the auth plugin http_basic. A line is user:hash, as htpasswd -nB writes \
it, or user:hash:project, or user:hash:project:role,role. The hash is bcrypt. Without them, the \
project has the name of the user, and the roles are member and reader. Empty lines and lines that \
begin with # are ignored. Changes take effect within a second."""


def _register(conf: Any) -> None:
    from oslo_middleware import basic_auth, opts
    for option in basic_auth.OPTS:
        option.help = USER_FILE_HELP    # the library's says nothing about the lines
    for group, options in opts.list_opts_basic_auth():
        conf.register_opts(options, group=group)


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """One line of the file."""

    password_hash: bytes
    context: contract.Context


@dataclasses.dataclass(frozen=True, slots=True)
class Users:
    """One version of the file, and the passwords that were verified with it.

    A verified password is cached as a keyed hash, since bcrypt is slow by design: it
    would take 50 ms or more for each request.
    """

    by_name: Mapping[str, User]
    verified: dict[bytes, tuple[float, contract.Context]] = dataclasses.field(
        default_factory=dict)
    salt: bytes = dataclasses.field(default_factory=lambda: secrets.token_bytes(32))


class HTTPBasic(contract.Authenticator):
    """Checks ``Authorization: Basic`` against ``[oslo_middleware] http_basic_auth_user_file``.

    Lines are ``user:hash``, as ``htpasswd -nB user`` writes them, or
    ``user:hash:project`` or ``user:hash:project:role,role``.  By default, the project has
    the name of the user, and the roles are member and reader.  Changes of the file take
    effect within a second.  An invalid file prevents the start; if the file becomes
    invalid later, this is logged and the users stay as they are.
    """

    SECTION = 'http_basic'
    EXTRA = 'http-basic'
    OPTS = (
        cfg.StrOpt('realm', default='glancelite', regex=r'^[^"\\\r\n]*$',
                   help='Name of the service in the request for a password.'),
        cfg.IntOpt('cache_time', default=60, min=0,
                   help='Seconds for which a verified password is cached.'),
    )
    LIBRARY_OPTS = (_register,)

    def __init__(self, options: Any, host: contract.Host, **kwargs: Any):
        super().__init__(options, host, **kwargs)
        import bcrypt
        self._check_password = bcrypt.checkpw
        self._path = self.conf.oslo_middleware.http_basic_auth_user_file
        self._challenge = f'Basic realm="{options.realm}", charset="UTF-8"'
        self._watch = FileWatch(lambda: [self._path], self._reload, interval=CHECK_INTERVAL)
        try:
            self._users = self._read()
        except (OSError, ValueError) as error:
            raise contract.Misconfigured(f'{USER_FILE}: {self._reason(error)}') from error

    def identify(self, environ: MutableMapping[str, Any]) -> contract.Context:
        self._watch.check()
        users = self._users
        header = environ.get('HTTP_AUTHORIZATION', '')
        key = hmac.digest(users.salt, header.encode('utf-8', 'replace'), hashlib.sha256)
        until, caller = users.verified.get(key, (0.0, None))
        if caller is None or time.monotonic() >= until:
            caller = self._verify(users, header)
            if len(users.verified) >= CACHE_SIZE:
                users.verified.clear()
            users.verified[key] = time.monotonic() + self.options.cache_time, caller
        return caller

    def _verify(self, users: Users, header: str) -> contract.Context:
        try:
            name, password = _credentials(header)
        except ValueError as error:
            raise self._unauthenticated(str(error)) from None
        user = users.by_name.get(name)
        if user is None:        # take as long as for a wrong password, to not disclose names
            for other in users.by_name.values():
                self._is_correct(password, other.password_hash)
                break
        elif self._is_correct(password, user.password_hash):
            return user.context
        LOG.info('http_basic: the name of user %r or their password is wrong', name)
        raise self._unauthenticated('The user name or the password is wrong.')

    def _is_correct(self, password: bytes, password_hash: bytes) -> bool:
        """Compare; a password that is too long for bcrypt is wrong, not truncated."""
        try:
            return (self._check_password(password[:MAX_PASSWORD_LENGTH], password_hash)
                    and len(password) <= MAX_PASSWORD_LENGTH)
        except ValueError:      # such as a NUL byte
            return False

    def _unauthenticated(self, text: str) -> contract.Unauthenticated:
        return contract.Unauthenticated(text, challenge=self._challenge)

    def _reload(self) -> None:
        try:
            self._users = self._read()
        except (OSError, ValueError) as error:
            LOG.error('http_basic: the users stay as they were: %s', self._reason(error))
        else:
            LOG.info('http_basic: the users were reloaded')

    def _reason(self, error: Exception) -> str:
        if isinstance(error, OSError):
            return f'{self._path} cannot be read: {error.strerror}'
        if isinstance(error, UnicodeError):     # its text has no name of a file
            return f'{self._path} is not in UTF-8'
        return str(error)

    def _read(self) -> Users:
        by_name = {}
        with open(self._path, encoding='utf-8') as lines:
            for number, line in enumerate(lines, 1):
                line = line.strip()
                if line and not line.startswith('#'):
                    name, user = _user(line, f'{self._path}, line {number}')
                    by_name[name] = user
        return Users(by_name)


def _user(line: str, position: str) -> tuple[str, User]:
    """Return the name and the user of a line.

    :raises ValueError: the line is invalid; the text does not contain the hash.
    """
    name, *rest = line.split(':')
    password_hash, project, roles = [*rest, '', '', ''][:3]
    if not name or len(rest) > 3:
        raise ValueError(f'{position}: must be user:hash, user:hash:project or '
                         'user:hash:project:role,role')
    if not password_hash.startswith(PREFIXES) or len(password_hash) != 60:
        raise ValueError(f'{position}: the hash is not a bcrypt hash; see htpasswd -B')
    role_names: Sequence[str] = [
        role.strip().lower() for role in roles.split(',') if role.strip()] or DEFAULT_ROLES
    project = project.strip() or name
    return name, User(password_hash.encode(), contract.Context(
        user=name, user_name=name, project=project, project_name=project,
        roles=frozenset(role_names)))


def _credentials(header: str) -> tuple[str, bytes]:
    """Return user name and password of an ``Authorization`` header.

    :raises ValueError: the header is invalid; the client may see the text.

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
    raise ValueError('The Authorization header is invalid.')
