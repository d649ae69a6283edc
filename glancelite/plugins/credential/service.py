"""Rights of the service's own account at an identity service."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from glancelite import contract

LOG = logging.getLogger(__name__)

#: how the API calls an interface -> how older files do
_INTERFACES = {'publicURL': 'public', 'internalURL': 'internal', 'adminURL': 'admin'}
#: what the identity service would take for a wish to change what these rights are for
_FIXED = {'v3applicationcredential': ('project_id', 'project_name', 'project_domain_id',
                                      'project_domain_name')}

OPTS = (
    cfg.StrOpt('auth_type', default='password',
               help='How the account is known: password, v3password, v3applicationcredential, '
                    'v1password (Swift without Keystone), or another plugin of keystoneauth '
                    'that does with the options here.'),
    cfg.StrOpt('auth_url', help='Address of the identity service.'),
    cfg.StrOpt('username', help='Name of the account.'),
    cfg.StrOpt('user_id', help='Id of the account, instead of its name.'),
    cfg.StrOpt('password', secret=True, help='Its password.'),
    cfg.StrOpt('user_domain_id', help='Id of the domain of the account; "default" if neither '
                                      'it nor user_domain_name is set.'),
    cfg.StrOpt('user_domain_name', help='Name of the domain of the account.'),
    cfg.StrOpt('project_id', help='Id of the project that is worked for.'),
    cfg.StrOpt('project_name', help='Name of the project that is worked for.'),
    cfg.StrOpt('project_domain_id', help='Id of the domain of the project; "default" if neither '
                                         'it nor project_domain_name is set.'),
    cfg.StrOpt('project_domain_name', help='Name of the domain of the project.'),
    cfg.StrOpt('application_credential_id', secret=True,
               help='Id of the application credential, for v3applicationcredential; that knows '
                    'its own project.'),
    cfg.StrOpt('application_credential_name',
               help='Name of the application credential, with the account it belongs to; '
                    'instead of its id.'),
    cfg.StrOpt('application_credential_secret', secret=True,
               help='Secret of the application credential.'),
    cfg.StrOpt('cafile', help='Bundle of certificates to judge the identity service by; that of '
                              'the system if not set.'),
    cfg.StrOpt('certfile', help='Certificate with which to introduce ourselves.'),
    cfg.StrOpt('keyfile', help='Key of that certificate.'),
    cfg.BoolOpt('insecure', default=False,
                help='Do not check the certificate of the identity service.'),
    cfg.FloatOpt('timeout', default=30, min=0.001,
                 help='Seconds to wait for the identity service, to connect and to answer.'),
    cfg.FloatOpt('expire_soon', default=60, min=0,
                 help='A token with fewer seconds to live is replaced before it is used.'),
)


class ServiceCredential(contract.CredentialSource):
    """One account, whoever calls; all its operations share a token."""

    OPTS = OPTS

    def __init__(self, options, host, *, name='service', conf=None):
        super().__init__(options, host, name=name, conf=conf)
        self._account = Account(options)

    def open(self, ctx, *, long_running=False):
        return Token(self._account)

    def session(self):
        return self._account.session

    def health(self):
        self._account.access()
        return 'authenticated'

    def close(self):
        self._account.close()


class Account:
    """A way to log in, and the token that came of it; for many threads.

    :param more: go before ``options``; a None there unsets.
    :raises Misconfigured: the options do not make a login.
    """

    def __init__(self, options: Any, more: Mapping[str, object] = contract.EMPTY):
        from keystoneauth1 import exceptions, loading, session
        self._failures = exceptions
        self.options = options
        given = {**_known(options), **more}
        if not given.get('auth_url'):
            raise contract.Misconfigured('auth_url must be set: it is the address of the '
                                         'identity service')
        try:
            loader = loading.get_plugin_loader(options.auth_type)
        except exceptions.NoMatchingPlugin:
            raise contract.Misconfigured(
                f'auth_type {options.auth_type!r} is not installed; common ones are password, '
                'v3applicationcredential and v1password') from None
        wanted = {opt.dest for opt in loader.get_options()}
        wanted.difference_update(_FIXED.get(options.auth_type, ()))
        try:
            self._auth = loader.load_from_options(
                **{name: value for name, value in given.items() if name in wanted and value})
        except exceptions.MissingRequiredOptions as error:
            missing = ', '.join(opt.dest for opt in error.options)
            raise contract.Misconfigured(
                f'auth_type {options.auth_type} needs {missing}') from None
        except exceptions.OptionError as error:
            raise contract.Misconfigured(f'auth_type {options.auth_type}: {error}') from None
        self._auth.MIN_TOKEN_LIFE_SECONDS = options.expire_soon
        self._lock = threading.Lock()
        self.session = session.Session(
            auth=self._auth, timeout=options.timeout,
            verify=not options.insecure and (options.cafile or True),
            cert=((options.certfile, options.keyfile) if options.keyfile
                  else options.certfile or None))

    def access(self) -> Any:
        """What the identity service said of the token, which is a good one.

        :raises Unavailable: it says nothing, or no.
        """
        failures = self._failures
        try:
            return self._auth.get_access(self.session)
        except (failures.ConnectionError, failures.HttpServerError) as error:
            LOG.error('the identity service does not answer: %s', error)
            raise contract.Unavailable('The identity service does not answer.') from None
        except failures.ClientException as error:
            LOG.error('the identity service refuses our account: %s', error)
            raise contract.Unavailable('The identity service refuses the account of this '
                                       'service.') from None

    def forget(self, token: str | None) -> None:
        """Log in anew the next time, unless somebody has done so since ``token`` was given."""
        with self._lock:
            if self._auth.auth_ref and self._auth.auth_ref.auth_token == token:
                self._auth.invalidate()

    def close(self) -> None:
        """Close the connections, also those of whoever holds the session."""
        self.session.session.close()


class Token(contract.Credential):
    """What an account may do, with whatever token it has at the moment."""

    def __init__(self, account: Account):
        self._account = account
        self.project = account.access().project_id
        self._token: str | None = None

    def token(self):
        self._token = self._account.access().auth_token
        return self._token

    def endpoint(self, service_type, *, interface='public', region=None):
        from keystoneauth1 import exceptions
        try:
            found = self._account.access().service_catalog.url_for(
                service_type=service_type, interface=plain(interface), region_name=region)
        except exceptions.CatalogException:
            raise missing(service_type, interface, region) from None
        return found.rstrip('/')

    def invalidate(self):
        self._account.forget(self._token)


def plain(interface: str) -> str:
    """``public``, ``internal`` or ``admin``, whatever generation the name is of."""
    return _INTERFACES.get(interface, interface)


def missing(service_type: str, interface: str, region: str | None) -> contract.Unavailable:
    """What to raise where the catalogue does not know a service."""
    where = f' in the region {region}' if region else ''
    LOG.error('the catalogue has no %s endpoint of the type %s%s', plain(interface),
              service_type, where)
    return contract.Unavailable(f'The catalogue of the identity service names no {service_type} '
                                'service for this.')


def _known(options: Any) -> dict[str, Any]:
    """The options by name, with the domain that is meant where none is said."""
    found = {opt.dest: getattr(options, opt.dest) for opt in OPTS}
    for kind in 'user', 'project':
        named = found['username' if kind == 'user' else 'project_name']
        if named and not (found[f'{kind}_domain_id'] or found[f'{kind}_domain_name']):
            found[f'{kind}_domain_id'] = 'default'
    return found
