"""The accounts in swift_store_config_file or in the options of the store."""

from __future__ import annotations

import configparser
import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from glancelite import contract
from glancelite.plugins.store.swift import location

LOG = logging.getLogger(__name__)

#: optional fields of a section
_DOMAINS = ('user_domain_id', 'user_domain_name', 'project_domain_id', 'project_domain_name')
#: overrides options of the store's section for another account
_UNSET = dict.fromkeys(('username', 'user_id', 'password', *_DOMAINS, 'project_id',
                         'project_name', 'application_credential_id',
                         'application_credential_name', 'application_credential_secret'))


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The credentials of one account.

    :ivar auth_url: of the identity service; None if the section of the store sets it.
    :ivar project: name of the project, if it is known.
    :ivar login: options for the plugin of the layer ``credential``.
    :ivar project_id: the only project that is allowed; None for any.
    """

    auth_url: str | None
    project: str | None
    login: Mapping[str, object] = dataclasses.field(repr=False)
    project_id: str | None = None

    def matches(self, target: location.ObjectLocation) -> bool:
        """Return whether an old URL refers to this account, by service and project."""
        if not self._has_identity_service_of(target):
            return False
        if target.user is None or self.project is None:
            return True
        return target.user.rpartition(':')[0] == self.project

    def with_credentials_of(self, target: location.ObjectLocation) -> Reference | None:
        """Return the account for the credentials in an old URL.

        :returns: None if it has none, or if it has another identity service.
        """
        if target.user is None or not self._has_identity_service_of(target):
            return None
        version = '1' if self.login['auth_type'] == 'v1password' else '3'
        common = {name: self.login[name] for name in ('cafile', 'insecure', 'expire_soon')}
        try:
            return _reference({'auth_address': self.auth_url, 'user': target.user,
                               'key': target.key, 'auth_version': version}, common)
        except contract.Misconfigured:
            return None

    def _has_identity_service_of(self, target: location.ObjectLocation) -> bool:
        return self.auth_url is not None and (
            location.identity_service(self.auth_url)
            == location.identity_service(target.site_url))


def load(options: Any) -> dict[str, Reference]:
    """Return the accounts of the file, or the one of the options, by reference.

    :raises Misconfigured: a required field or option is missing.
    """
    common = {'cafile': options.swift_store_cacert,
              'insecure': options.swift_store_auth_insecure,
              'expire_soon': options.swift_store_expire_soon_interval}
    if options.swift_store_config_file:
        return _from_file(options, common)
    fields = {
        'auth_address': options.swift_store_auth_address,
        'user': options.swift_store_user, 'key': options.swift_store_key,
        'application_credential_id': options.swift_store_application_credential_id,
        'application_credential_secret': options.swift_store_application_credential_secret,
        'project_name': options.swift_store_project_name,
        'project_id': options.swift_store_project_id,
        'auth_version': options.swift_store_auth_version}
    if not any(fields[name] for name in ('auth_address', 'user', 'application_credential_id')):
        # the section of the store may have options of the credential plugin, such as auth_url
        reference = Reference(None, None, {name: value for name, value in common.items() if value})
    else:
        reference = _reference(fields, common, 'swift_store_')
    return {options.default_swift_reference: reference}


def _from_file(options: Any, common: Mapping[str, object]) -> dict[str, Reference]:
    path = options.swift_store_config_file
    parser = _ConfigParser()
    try:
        with open(path, encoding='utf-8') as file:
            parser.read_file(file)
    except (OSError, ValueError, configparser.Error) as error:
        reason = getattr(error, 'strerror', None) or type(error).__name__
        raise contract.Misconfigured(f'swift_store_config_file {path} cannot be read: '
                                     f'{reason}') from None
    references = {}
    for name in parser.sections():
        fields = {field: parser.value(name, field) for field in parser.options(name)}
        try:
            references[name] = _reference(fields, common, f'{path}: [{name}] ')
        except contract.Misconfigured as error:
            if name == options.default_swift_reference:
                raise
            LOG.warning('an account is ignored: %s', error)
    for name in (options.default_swift_reference, *options.swift_store_old_references):
        if name not in references:
            raise contract.Misconfigured(
                f'{path} has no section [{name}], which default_swift_reference or '
                'swift_store_old_references names')
    return references


class _ConfigParser(configparser.ConfigParser):
    """Accepts values in quotes, and per cent signs with or without Glance's doubling."""

    def value(self, section: str, option: str) -> str | None:
        try:
            text = self.get(section, option)
        except configparser.InterpolationError:
            text = self.get(section, option, raw=True)
        if text and text[0] in '"\'' and len(text) > 1 and text[-1] == text[0]:
            return text[1:-1]
        return text


def _reference(fields: Mapping[str, Any], common: Mapping[str, object],
               prefix: str = '') -> Reference:
    """Return one account.

    :param prefix: in front of the names of fields in error messages.
    """
    def require(*names: str) -> None:
        for name in names:
            if not fields.get(name):
                raise contract.Misconfigured(f'{prefix}{name} must be set')

    require('auth_address')
    auth_url = fields['auth_address']
    if '://' not in auth_url:
        auth_url = f'https://{auth_url}'
    login = {**_UNSET, **common, 'auth_url': auth_url,
             **{name: fields[name] for name in _DOMAINS if fields.get(name)}}
    if fields.get('application_credential_id') or fields.get('application_credential_secret'):
        require('application_credential_id', 'application_credential_secret')
        login |= {'auth_type': 'v3applicationcredential',
                  'application_credential_id': fields['application_credential_id'],
                  'application_credential_secret': fields['application_credential_secret']}
        project = fields.get('project_name') or None
    else:
        require('user', 'key')
        project, colon, user = fields['user'].partition(':')
        if fields.get('auth_version') in ('1', '1.0', 'v1', 'v1.0'):
            login |= {'auth_type': 'v1password', 'username': fields['user'],
                      'password': fields['key']}
        elif not (project and user):
            raise contract.Misconfigured(f'{prefix}user must be "project:user"')
        else:
            login |= {'auth_type': 'v3password', 'username': user, 'password': fields['key'],
                      'project_name': project}
            _set_default_domains(login)
        if not colon:
            project = None
    return Reference(auth_url, project, login, fields.get('project_id') or None)


def _set_default_domains(login: dict[str, object]) -> None:
    """Names are in the default domain, whatever the section of the store sets."""
    for kind in 'user', 'project':
        if not (login.get(f'{kind}_domain_id') or login.get(f'{kind}_domain_name')):
            login[f'{kind}_domain_id'] = 'default'
