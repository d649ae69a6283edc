"""The service's own account at an identity service."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from glancelite import contract

LOG = logging.getLogger(__name__)

#: former name of an interface -> its name
_INTERFACES = {'publicURL': 'public', 'internalURL': 'internal', 'adminURL': 'admin'}
#: options that are not passed to an auth type, since the identity service would understand
#: them as a request to change the scope
_UNUSED_OPTIONS = {'v3applicationcredential': ('project_id', 'project_name', 'project_domain_id',
                                               'project_domain_name')}

OPTS = (
    cfg.StrOpt('auth_type', default='password',
               help='How the account logs in: password, v3password, v3applicationcredential, '
                    'v1password (Swift without Keystone), or another plugin of keystoneauth '
                    'that needs no other options than these.'),
    cfg.StrOpt('auth_url', help='URL of the identity service.'),
    cfg.StrOpt('username', help='Name of the account.'),
    cfg.StrOpt('user_id', help='Id of the account, instead of its name.'),
    cfg.StrOpt('password', secret=True, help='Its password.'),
    cfg.StrOpt('user_domain_id', help='Id of the domain of the account; "default" if neither '
                                      'it nor user_domain_name is set.'),
    cfg.StrOpt('user_domain_name', help='Name of the domain of the account.'),
    cfg.StrOpt('project_id', help='Id of the project of the account.'),
    cfg.StrOpt('project_name', help='Name of the project of the account.'),
    cfg.StrOpt('project_domain_id', help='Id of the domain of the project; "default" if neither '
                                         'it nor project_domain_name is set.'),
    cfg.StrOpt('project_domain_name', help='Name of the domain of the project.'),
    cfg.StrOpt('application_credential_id', secret=True,
               help='Id of the application credential, for v3applicationcredential; it belongs '
                    'to a project.'),
    cfg.StrOpt('application_credential_name',
               help='Name of the application credential, instead of its id; username or user_id '
                    'must be set too.'),
    cfg.StrOpt('application_credential_secret', secret=True,
               help='Secret of the application credential.'),
    cfg.StrOpt('cafile', help='CA certificates to verify the identity service with; those of the '
                              'system if not set.'),
    cfg.StrOpt('certfile', help='Client certificate.'),
    cfg.StrOpt('keyfile', help='Key of the client certificate.'),
    cfg.BoolOpt('insecure', default=False,
                help='Do not verify the certificate of the identity service.'),
    cfg.FloatOpt('timeout', default=30, min=0.001,
                 help='Timeout in seconds of each request to the identity service.'),
    cfg.FloatOpt('expire_soon', default=60, min=0,
                 help='A token that expires in fewer seconds is renewed before it is used.'),
)


class ServiceCredential(contract.CredentialSource):
    """Uses one account for all callers; all operations share a token."""

    OPTS = OPTS

    def __init__(self, options: Any, host: contract.Host, *, name: str = 'service',
                 conf: Any = None):
        super().__init__(options, host, name=name, conf=conf)
        self._account = Account(options)

    def open(self, ctx: contract.Context | None, *,
             long_running: bool = False) -> AccountToken:
        return AccountToken(self._account)

    def session(self) -> Any:
        return self._account.session

    def health(self) -> str:
        self._account.access()
        return 'authenticated'

    def close(self) -> None:
        self._account.close()


class Account:
    """The login of an account, and its present token; may be used by several threads.

    :param overrides: values that take precedence over ``options``; None unsets an option.
    :raises Misconfigured: the options are not sufficient for a login.
    """

    def __init__(self, options: Any, overrides: Mapping[str, object] = contract.EMPTY):
        from keystoneauth1 import exceptions, session
        self._errors = exceptions
        self.options = options
        self._auth = self._load_auth({**_option_values(options), **overrides})
        self._auth.MIN_TOKEN_LIFE_SECONDS = options.expire_soon
        self._lock = threading.Lock()
        self.session = session.Session(
            auth=self._auth, timeout=options.timeout,
            verify=not options.insecure and (options.cafile or True),
            cert=((options.certfile, options.keyfile) if options.keyfile
                  else options.certfile or None))

    def _load_auth(self, values: Mapping[str, Any]) -> Any:
        from keystoneauth1 import exceptions, loading
        auth_type = self.options.auth_type
        if not values.get('auth_url'):
            raise contract.Misconfigured('auth_url must be set: it is the URL of the '
                                         'identity service')
        try:
            loader: Any = loading.get_plugin_loader(auth_type)
        except exceptions.NoMatchingPlugin:
            raise contract.Misconfigured(
                f'auth_type {auth_type!r} is not installed; common ones are password, '
                'v3applicationcredential and v1password') from None
        used = {opt.dest for opt in loader.get_options()}
        used.difference_update(_UNUSED_OPTIONS.get(auth_type, ()))
        try:
            return loader.load_from_options(
                **{name: value for name, value in values.items() if name in used and value})
        except exceptions.MissingRequiredOptions as error:
            missing = ', '.join(opt.dest for opt in error.options)
            raise contract.Misconfigured(
                f'auth_type {auth_type} requires {missing}') from None
        except exceptions.OptionError as error:
            raise contract.Misconfigured(f'auth_type {auth_type}: {error}') from None

    def access(self) -> Any:
        """Return the access information of a valid token; log in if necessary.

        :raises Unavailable: the identity service does not answer or rejects the account.
        """
        errors = self._errors
        try:
            return self._auth.get_access(self.session)
        except (errors.ConnectionError, errors.HttpServerError) as error:
            LOG.error('the identity service does not answer: %s', error)
            raise contract.Unavailable('The identity service does not answer.') from None
        except errors.ClientException as error:
            LOG.error('the identity service rejects the account of this service: %s', error)
            raise contract.Unavailable('The identity service rejects the account of this '
                                       'service.') from None

    def invalidate(self, token: str | None) -> None:
        """Log in again at the next use, unless ``token`` has already been replaced."""
        with self._lock:
            if self._auth.auth_ref and self._auth.auth_ref.auth_token == token:
                self._auth.invalidate()

    def close(self) -> None:
        """Close the connections, also those that users of the session have opened."""
        self.session.session.close()


class AccountToken(contract.Credential):
    """The identity of an account, with its present token."""

    def __init__(self, account: Account):
        self._account = account
        self.project = account.access().project_id
        self._token: str | None = None

    def token(self) -> str:
        token: str = self._account.access().auth_token
        self._token = token
        return token

    def endpoint(self, service_type: str, *, interface: str = 'public',
                 region: str | None = None) -> str:
        from keystoneauth1 import exceptions
        try:
            url: str = self._account.access().service_catalog.url_for(
                service_type=service_type, interface=interface_name(interface), region_name=region)
        except exceptions.CatalogException:
            raise endpoint_missing(service_type, interface, region) from None
        return url.rstrip('/')

    def invalidate(self) -> None:
        self._account.invalidate(self._token)


def interface_name(interface: str) -> str:
    """Return ``public``, ``internal`` or ``admin`` for the present or the former name."""
    return _INTERFACES.get(interface, interface)


def endpoint_missing(service_type: str, interface: str,
                     region: str | None) -> contract.Unavailable:
    """Log that the catalog has no such endpoint, and return the error to raise."""
    suffix = f' in the region {region}' if region else ''
    LOG.error('the service catalog has no %s endpoint of the type %s%s',
              interface_name(interface), service_type, suffix)
    return contract.Unavailable(f'The service catalog has no {service_type} endpoint for this '
                                'operation.')


def _option_values(options: Any) -> dict[str, Any]:
    """Return the options by name, with the default domains."""
    values = {opt.dest: getattr(options, opt.dest) for opt in OPTS}
    for kind in 'user', 'project':
        has_name = values['username' if kind == 'user' else 'project_name']
        if has_name and not (values[f'{kind}_domain_id'] or values[f'{kind}_domain_name']):
            values[f'{kind}_domain_id'] = 'default'
    return values
