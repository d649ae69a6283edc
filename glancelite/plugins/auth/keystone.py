"""Tokens of OpenStack's Identity service, checked by keystonemiddleware."""

import datetime
import logging
import time

from oslo_config import cfg

from glancelite import contract

LOG = logging.getLogger(__name__)

GROUP = 'keystone_authtoken'
#: where the middleware finds our memory of tokens
TOKENS = 'glancelite.tokens'
#: how many tokens are remembered, and how many callers: each has a catalogue, which in
#: a large cloud is 20 KB of text and many times that as objects
MEMORY_OF_TOKENS = 2048
MEMORY_OF_CALLERS = 512
#: seconds that Keystone is waited for where nobody said how long, when an operator asks how it is
PATIENCE = 10
#: seconds for which a caller is not looked at again: the middleware's look at a
#: token that it remembers costs 200 microseconds
FRESH = 5.0


def _register(conf):
    from keystonemiddleware import opts
    for group, options in opts.list_auth_token_opts():
        conf.register_opts(options, group=group)


class Keystone(contract.Authenticator):
    """The middleware around an application that does nothing: it is asked, not built in.

    It decides nothing itself (``delay_auth_decision``), so that requests without
    a valid token can be let in to look around, see ``allow_anonymous_access``.
    A token that is revoked works on for ``[keystone_authtoken] token_cache_time``
    and at most five seconds more.
    """

    SECTION = 'DEFAULT'
    OPTS = (
        cfg.BoolOpt('allow_anonymous_access', default=False,
                    help='Let callers without a valid token in, to read what the policy lets '
                         'people without roles read.'),
    )
    LIBRARY_OPTS = (_register,)

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        from keystoneauth1 import loading
        loading.register_auth_conf_options(self.conf, GROUP)
        place = self.conf[GROUP]
        section = place.auth_section or GROUP
        self._account = self.conf[section]
        if not self._account.auth_type:
            raise contract.Misconfigured(
                f'[{section}] auth_type must be set, for instance to password, with auth_url '
                'and the account of this service')
        local = {'oslo_config_config': self.conf, 'delay_auth_decision': True}
        self._memory = {}
        if not (place.memcached_servers or place.cache):
            local['cache'] = TOKENS
            self._memory[TOKENS] = Tokens()
        self._middleware = _middleware_class()(_nothing, local)
        self._fresh = min(FRESH, place.token_cache_time)
        self._callers = {}
        uri = place.www_authenticate_uri or getattr(self._account, 'auth_url', None)
        self._challenge = f'Keystone uri="{uri}"' if uri else 'Keystone'

    def health(self):
        """Log in with the account of this service, as the middleware does to look at a token."""
        from keystoneauth1 import exceptions, loading, session
        place = self.conf[GROUP]
        where = getattr(self._account, 'auth_url', None) or 'Keystone'
        asking = session.Session(
            timeout=place.http_connect_timeout or PATIENCE,
            verify=not place.insecure and (place.cafile or True),
            cert=(place.certfile, place.keyfile) if place.keyfile else place.certfile)
        try:
            loading.load_auth_from_conf_options(self.conf, GROUP).get_token(asking)
        except (exceptions.ConnectionError, exceptions.HttpServerError,
                exceptions.DiscoveryFailure) as error:
            raise contract.Unavailable(f'{where} does not answer: {error}') from error
        except exceptions.ClientException as error:
            raise contract.Unavailable(f'{where} refuses the account of this service: '
                                       f'{error}') from error
        finally:
            asking.session.close()
        return f'authenticated at {where}'

    def identify(self, environ):
        token = environ.get('HTTP_X_AUTH_TOKEN') or environ.get('HTTP_X_STORAGE_TOKEN')
        if not token:
            return self._nobody()
        key = token, environ.get('HTTP_X_SERVICE_TOKEN')
        until, caller = self._callers.get(key, (0.0, None))
        if caller is None or time.monotonic() >= until:
            asked = self._ask(environ)
            if asked.get('HTTP_X_IDENTITY_STATUS') != 'Confirmed':
                return self._nobody()
            info = _token(asked)
            caller = _context(asked, info, token)
            self._remember(key, info, caller)
        return caller

    def _ask(self, environ):
        """The environment of the request, with what the middleware found."""
        asked = {**environ, **self._memory}
        try:
            self._middleware(asked, _ignore)
        except contract.Unavailable:
            raise
        except Exception as error:      # a catalogue, say, that is none
            LOG.exception('the answer of the identity service cannot be understood')
            raise contract.Unavailable(
                'The answer of the identity service cannot be understood.') from error
        return asked

    def _nobody(self):
        if self.options.allow_anonymous_access:
            return contract.Context(read_only=True)
        raise contract.Unauthenticated('The request you have made requires authentication.',
                                       challenge=self._challenge)

    def _remember(self, key, info, caller):
        """Unless whether the token is good depends on more than the token."""
        credential = info.get('application_credential') or {}
        if 'bind' in info or credential.get('access_rules') is not None:
            return
        left = (_time(info['expires_at']) - self.host.now()).total_seconds()
        if len(self._callers) >= MEMORY_OF_CALLERS:
            self._callers.clear()
        self._callers[key] = time.monotonic() + min(left, self._fresh), caller


class Tokens:
    """The middleware's memory; its own is searched through at each request.

    Speaks as much of memcached's language as the middleware does.
    """

    def __init__(self):
        self._known = {}

    def get(self, key):
        until, value = self._known.get(key, (0.0, None))
        return value if _now() < until else None

    def set(self, key, value, time=0):  # the middleware calls it so
        if len(self._known) >= MEMORY_OF_TOKENS:
            self._known.clear()
        self._known[key] = _now() + time, value


def _now():
    return time.monotonic()


def _middleware_class():
    """The library's, which refuses a token where Keystone is away; this one says so."""
    from keystoneauth1 import exceptions
    from keystonemiddleware import auth_token

    away = (auth_token.ServiceError, exceptions.ConnectFailure, exceptions.DiscoveryFailure,
            exceptions.RequestTimeout)

    class AuthProtocol(auth_token.AuthProtocol):

        def fetch_token(self, token, **named):
            try:
                return super().fetch_token(token, **named)
            except auth_token.InvalidToken as error:
                if isinstance(error.__context__, away):
                    raise _unavailable() from error
                raise
            except exceptions.ClientException as error:
                LOG.error('the identity service cannot be asked: %s', error)
                raise _unavailable() from error

    return AuthProtocol


def _unavailable():
    return contract.Unavailable('The identity service cannot be asked at the moment.')


def _token(asked):
    return asked['keystone.token_info'].get('token') or {}


def _context(asked, info, token):
    """The caller.

    The scope is read off the token: the middleware overwrites its header with the
    scope of the service token.
    """
    service = asked.get('HTTP_X_SERVICE_IDENTITY_STATUS') == 'Confirmed'
    catalog = info.get('catalog')
    return contract.Context(
        user=asked.get('HTTP_X_USER_ID'), user_name=asked.get('HTTP_X_USER_NAME'),
        user_domain=asked.get('HTTP_X_USER_DOMAIN_ID'),
        project=asked.get('HTTP_X_PROJECT_ID'), project_name=asked.get('HTTP_X_PROJECT_NAME'),
        project_domain=asked.get('HTTP_X_PROJECT_DOMAIN_ID'),
        roles=_roles(asked.get('HTTP_X_ROLES')),
        service_roles=_roles(asked.get('HTTP_X_SERVICE_ROLES')) if service else frozenset(),
        system_scope='all' if (info.get('system') or {}).get('all') else None,
        domain=asked.get('HTTP_X_DOMAIN_ID'), token=token,
        catalog=tuple(catalog) if isinstance(catalog, list) else None)


def _roles(names):
    return frozenset(name.strip().lower() for name in (names or '').split(',') if name.strip())


def _time(text):
    return datetime.datetime.fromisoformat(text)


def _nothing(environ, start_response):
    start_response('200 OK', [('Content-Length', '0')])
    return []


def _ignore(status, headers, exc_info=None):
    """Whatever the middleware would answer, we look at what it found."""
