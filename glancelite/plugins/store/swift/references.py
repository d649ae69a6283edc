"""Accounts that the operator has named, in a file or in the options of the store."""

from __future__ import annotations

import configparser
import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from glancelite import contract
from glancelite.plugins.store.swift import location

LOG = logging.getLogger(__name__)

#: further fields of a section
_DOMAINS = ('user_domain_id', 'user_domain_name', 'project_domain_id', 'project_domain_name')
#: whatever else the section of the store says of an account, it is not this one
_NOBODY = dict.fromkeys(('username', 'user_id', 'password', *_DOMAINS, 'project_id',
                         'project_name', 'application_credential_id',
                         'application_credential_name', 'application_credential_secret'))


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """How to log in somewhere.

    :ivar address: of the identity service; None if the section of the store says it.
    :ivar project: name of the project, where that is known.
    :ivar login: options for the plugin that does it.
    :ivar project_id: of the project that it has to be; None if the operator does not say.
    """

    address: str | None
    project: str | None
    login: Mapping[str, object] = dataclasses.field(repr=False)
    project_id: str | None = None

    def has(self, address: location.Address) -> bool:
        """Is this the account that an older address means, by what it says?"""
        if self.address is None or location.identity(self.address) != \
                location.identity(address.url):
            return False
        if address.user is None or self.project is None:
            return True
        return address.user.rpartition(':')[0] == self.project


    def other(self, address: location.Address) -> Reference | None:
        """Whoever an older address itself lets in, at our own identity service only."""
        if (address.user is None or self.address is None
                or location.identity(self.address) != location.identity(address.url)):
            return None
        version = '1' if self.login['auth_type'] == 'v1password' else '3'
        common = {name: self.login[name] for name in ('cafile', 'insecure', 'expire_soon')}
        try:
            return _reference({'auth_address': self.address, 'user': address.user,
                               'key': address.key, 'auth_version': version}, common, '', '')
        except contract.Misconfigured:
            return None


def load(options: Any) -> dict[str, Reference]:
    """Name -> account, for all that the options say.

    :raises Misconfigured: something that is needed is missing.
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
        # the options of the plugin for logins itself, such as auth_url, may be there
        found = Reference(None, None, {name: value for name, value in common.items() if value})
    else:
        found = _reference(fields, common, 'swift_store_', '')
    return {options.default_swift_reference: found}


def _from_file(options, common):
    path = options.swift_store_config_file
    parser = _Quoted()
    try:
        with open(path, encoding='utf-8') as file:
            parser.read_file(file)
    except (OSError, ValueError, configparser.Error) as error:
        reason = getattr(error, 'strerror', None) or type(error).__name__
        raise contract.Misconfigured(f'swift_store_config_file {path} cannot be read: '
                                     f'{reason}') from None
    found = {}
    for name in parser.sections():
        try:
            found[name] = _reference({field: parser.value(name, field)
                                      for field in parser.options(name)},
                                     common, '', f'{path}: [{name}] ')
        except contract.Misconfigured as error:
            if name == options.default_swift_reference:
                raise
            LOG.warning('this account cannot be used: %s', error)
    for name in (options.default_swift_reference, *options.swift_store_old_references):
        if name not in found:
            raise contract.Misconfigured(
                f'{path} has no section [{name}], which default_swift_reference or '
                'swift_store_old_references names')
    return found


class _Quoted(configparser.ConfigParser):
    """Values may be in quotes, and a per cent sign may be doubled as Glance wants it."""

    def value(self, section: str, option: str) -> str | None:
        try:
            found = self.get(section, option)
        except configparser.InterpolationError:
            found = self.get(section, option, raw=True)
        if found and found[0] in '"\'' and len(found) > 1 and found[-1] == found[0]:
            return found[1:-1]
        return found


def _reference(fields, common, prefix, place):
    """One account.

    :param prefix: what the names of fields begin with, for the operator.
    :param place: where they are.
    """
    def need(*names):
        for name in names:
            if not fields.get(name):
                raise contract.Misconfigured(f'{place}{prefix}{name} must be set')

    need('auth_address')
    address = fields['auth_address']
    if '://' not in address:
        address = f'https://{address}'
    login = {**_NOBODY, **common, 'auth_url': address,
             **{name: fields[name] for name in _DOMAINS if fields.get(name)}}
    if fields.get('application_credential_id') or fields.get('application_credential_secret'):
        need('application_credential_id', 'application_credential_secret')
        login |= {'auth_type': 'v3applicationcredential',
                  'application_credential_id': fields['application_credential_id'],
                  'application_credential_secret': fields['application_credential_secret']}
        return Reference(address, fields.get('project_name') or None, login,
                         fields.get('project_id') or None)
    need('user', 'key')
    project, colon, user = fields['user'].partition(':')
    if fields.get('auth_version') in ('1', '1.0', 'v1', 'v1.0'):
        login |= {'auth_type': 'v1password', 'username': fields['user'],
                  'password': fields['key']}
    elif not (project and colon and user):
        raise contract.Misconfigured(f'{place}{prefix}user must be "project:user"')
    else:
        login |= {'auth_type': 'v3password', 'username': user, 'password': fields['key'],
                  'project_name': project}
        # what is meant with a name only, whatever the section of the store says
        for kind in 'user', 'project':
            if not (login.get(f'{kind}_domain_id') or login.get(f'{kind}_domain_name')):
                login[f'{kind}_domain_id'] = 'default'
    return Reference(address, project if colon else None, login,
                     fields.get('project_id') or None)
