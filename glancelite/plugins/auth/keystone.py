"""Tokens of OpenStack's Identity service, validated by keystonemiddleware."""

from __future__ import annotations

import datetime
import importlib
import logging
import textwrap
import time
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from oslo_config import cfg

from glancelite import contract

LOG = logging.getLogger(__name__)

GROUP = 'keystone_authtoken'
#: key in ``environ`` of the middleware's token cache
CACHE_KEY = 'glancelite.tokens'
#: most tokens and most callers in the caches.  A caller has a catalog, which in a large
#: cloud is 20 KB of text and many times that as objects.
TOKEN_CACHE_SIZE = 2048
CALLER_CACHE_SIZE = 512
#: timeout of the health check in seconds, if ``http_connect_timeout`` is not set
HEALTH_TIMEOUT = 10
#: seconds for which a caller is cached; the middleware needs 200 microseconds even for a
#: token in its cache
CALLER_CACHE_TIME = 5.0


def _register(conf: Any) -> None:
    from keystonemiddleware import opts
    for group, options in opts.list_auth_token_opts():
        conf.register_opts(options, group=group)


class Keystone(contract.Authenticator):
    """Calls the middleware with an application that does nothing, and reads its result.

    The middleware refuses no request (``delay_auth_decision``), so that requests without
    a valid token can be accepted, see ``allow_anonymous_access``.  A revoked token stays
    valid for ``[keystone_authtoken] token_cache_time`` and at most five seconds more.
    """

    SECTION = 'DEFAULT'
    EXTRA = 'keystone'
    OPTS = (
        cfg.BoolOpt('allow_anonymous_access', default=False,
                    help='Accept callers without a valid token. They can read what the policy '
                         'allows to callers without roles.'),
    )
    LIBRARY_OPTS = (_register,)

    def __init__(self, options: Any, host: contract.Host, **kwargs: Any):
        super().__init__(options, host, **kwargs)
        from keystoneauth1 import loading
        loading.register_auth_conf_options(self.conf, GROUP)
        authtoken = self.conf[GROUP]
        section = authtoken.auth_section or GROUP
        self._account = self.conf[section]
        if not self._account.auth_type:
            raise contract.Misconfigured(
                f'[{section}] auth_type must be set, for example to password, with auth_url '
                'and the account of this service')
        overrides: dict[str, Any] = {'oslo_config_config': self.conf, 'delay_auth_decision': True}
        self._environ: dict[str, Any] = {}
        if not (authtoken.memcached_servers or authtoken.cache):
            overrides['cache'] = CACHE_KEY
            self._environ[CACHE_KEY] = TokenCache()
        elif not authtoken.cache:
            _check_memcached_library(authtoken)
        self._middleware = _middleware_class()(_empty_app, overrides)
        self._cache_time = min(CALLER_CACHE_TIME, authtoken.token_cache_time)
        self._callers: dict[Any, tuple[float, contract.Context]] = {}
        uri = authtoken.www_authenticate_uri or getattr(self._account, 'auth_url', None)
        self._challenge = f'Keystone uri="{uri}"' if uri else 'Keystone'

    def health(self) -> str:
        """Log in with the account of this service, as the middleware does."""
        from keystoneauth1 import exceptions, loading, session
        authtoken = self.conf[GROUP]
        url = getattr(self._account, 'auth_url', None) or 'Keystone'
        client = session.Session(
            timeout=authtoken.http_connect_timeout or HEALTH_TIMEOUT,
            verify=not authtoken.insecure and (authtoken.cafile or True),
            cert=((authtoken.certfile, authtoken.keyfile) if authtoken.keyfile
                  else authtoken.certfile))
        try:
            auth: Any = loading.load_auth_from_conf_options(self.conf, GROUP)
            auth.get_token(client)
        except (exceptions.ConnectionError, exceptions.HttpServerError,
                exceptions.DiscoveryFailure) as error:
            raise contract.Unavailable(f'{url} does not answer: {_reason(error)}') from error
        except exceptions.ClientException as error:
            raise contract.Unavailable(f'{url} rejects the account of this service: '
                                       f'{_reason(error)}') from error
        finally:
            client.session.close()
        return f'authenticated at {url}'

    def identify(self, environ: MutableMapping[str, Any]) -> contract.Context:
        token = environ.get('HTTP_X_AUTH_TOKEN') or environ.get('HTTP_X_STORAGE_TOKEN')
        if not token:
            return self._anonymous()
        key = token, environ.get('HTTP_X_SERVICE_TOKEN')
        expires, caller = self._callers.get(key, (0.0, None))
        if caller is None or time.monotonic() >= expires:
            validated = self._validate(environ)
            if validated.get('HTTP_X_IDENTITY_STATUS') != 'Confirmed':
                return self._anonymous()
            info = _token_info(validated)
            caller = _context(validated, info, token)
            self._cache(key, info, caller)
        return caller

    def _validate(self, environ: Mapping[str, Any]) -> dict[str, Any]:
        """Return the environment of the request, with the values that the middleware sets."""
        result = {**environ, **self._environ}
        try:
            self._middleware(result, _ignore_response)
        except contract.Unavailable:
            raise
        except Exception as error:      # for example an invalid catalog
            LOG.exception('the identity service sent an invalid response')
            raise contract.Unavailable(
                'The identity service sent an invalid response.') from error
        return result

    def _anonymous(self) -> contract.Context:
        if self.options.allow_anonymous_access:
            return contract.Context(read_only=True)
        raise contract.Unauthenticated('The request you have made requires authentication.',
                                       challenge=self._challenge)

    def _cache(self, key: Any, info: Mapping[str, Any], caller: contract.Context) -> None:
        """Cache the caller, unless the token is valid for some requests only."""
        credential = info.get('application_credential') or {}
        if 'bind' in info or credential.get('access_rules') is not None:
            return
        remaining = (_time(info['expires_at']) - self.host.now()).total_seconds()
        if len(self._callers) >= CALLER_CACHE_SIZE:
            self._callers.clear()
        self._callers[key] = time.monotonic() + min(remaining, self._cache_time), caller


class TokenCache:
    """A token cache for the middleware; its own one is searched completely at each request.

    It has the methods of a memcached client that the middleware uses.
    """

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, Any]] = {}

    def get(self, key: str) -> Any:
        expires, value = self._values.get(key, (0.0, None))
        return value if _now() < expires else None

    def set(self, key: str, value: Any, time: float = 0) -> None:
        if len(self._values) >= TOKEN_CACHE_SIZE:
            self._values.clear()
        self._values[key] = _now() + time, value


def _now() -> float:
    return time.monotonic()


def _check_memcached_library(authtoken: Any) -> None:
    """Import what the middleware imports with the first request, and does not require."""
    other = authtoken.memcache_tls_enabled or authtoken.memcache_sasl_enabled
    module, package = (('bmemcached', 'python-binary-memcached') if other
                       else ('memcache', 'python-memcached'))
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise contract.Misconfigured(
            f'[{GROUP}] memcached_servers needs the library {package}, which is not '
            'installed; install it, or unset the option: each process has a cache of its own '
            'then') from error


def _middleware_class() -> Any:
    """Return a middleware that raises ``Unavailable`` if Keystone does not answer.

    That of the library treats the token as invalid then.
    """
    from keystoneauth1 import exceptions
    from keystonemiddleware import auth_token

    unavailable_errors = (auth_token.ServiceError, exceptions.ConnectFailure,
                          exceptions.DiscoveryFailure, exceptions.RequestTimeout)

    class AuthProtocol(auth_token.AuthProtocol):

        def fetch_token(self, token: str, **kwargs: Any) -> Any:
            try:
                return super().fetch_token(token, **kwargs)
            except auth_token.InvalidToken as error:
                if isinstance(error.__context__, unavailable_errors):
                    raise _unavailable() from error
                raise
            except exceptions.ClientException as error:
                LOG.error('the identity service is unavailable: %s', _reason(error))
                raise _unavailable() from error

    return AuthProtocol


def _reason(error: BaseException) -> str:
    """Why a request failed, in a few words: libraries wrap it in up to five exceptions."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    words = ' '.join(str(getattr(error, 'strerror', None) or error).split())
    return textwrap.shorten(words, 150, placeholder=' ...') or type(error).__name__


def _unavailable() -> contract.Unavailable:
    return contract.Unavailable('The identity service is unavailable.')


def _token_info(environ: Mapping[str, Any]) -> Mapping[str, Any]:
    return environ['keystone.token_info'].get('token') or {}


def _context(environ: Mapping[str, Any], info: Mapping[str, Any],
             token: str) -> contract.Context:
    """Return the caller.

    The scope comes from the token: the middleware overwrites its header with the scope
    of the service token.
    """
    service = environ.get('HTTP_X_SERVICE_IDENTITY_STATUS') == 'Confirmed'
    catalog = info.get('catalog')
    return contract.Context(
        user=environ.get('HTTP_X_USER_ID'), user_name=environ.get('HTTP_X_USER_NAME'),
        user_domain=environ.get('HTTP_X_USER_DOMAIN_ID'),
        project=environ.get('HTTP_X_PROJECT_ID'), project_name=environ.get('HTTP_X_PROJECT_NAME'),
        project_domain=environ.get('HTTP_X_PROJECT_DOMAIN_ID'),
        roles=_roles(environ.get('HTTP_X_ROLES')),
        service_roles=_roles(environ.get('HTTP_X_SERVICE_ROLES')) if service else frozenset(),
        system_scope='all' if (info.get('system') or {}).get('all') else None,
        domain=environ.get('HTTP_X_DOMAIN_ID'), token=token,
        catalog=tuple(catalog) if isinstance(catalog, list) else None)


def _roles(names: str | None) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in (names or '').split(',') if name.strip())


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def _empty_app(environ: MutableMapping[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response('200 OK', [('Content-Length', '0')])
    return []


def _ignore_response(status: str, headers: Any, exc_info: Any = None) -> None:
    """Ignore the response: the result of the middleware is in the environment."""
