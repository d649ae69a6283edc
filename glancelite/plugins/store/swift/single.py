"""All data in the account of the service (single-tenant)."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Collection
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.swift import endpoints, location, references
from glancelite.plugins.store.swift.account import Account
from glancelite.plugins.store.swift.client import Client
from glancelite.plugins.store.swift.location import ObjectLocation
from glancelite.plugins.store.swift.references import Reference

LOG = logging.getLogger(__name__)


class SingleTenant:
    """One account for new data, and further ones for existing data.

    New URLs are ``swift+config://REFERENCE/CONTAINER/NAME``.  Glance without
    swift_store_config_file writes URLs with credentials.  They refer to an account by project
    and identity service; if it is a configured one, the configured credentials are used.

    :param section: of the store, for the credential plugin.
    """

    def __init__(self, options: Any, host: contract.Host, client: Client, section: str):
        self._options = options
        self._host = host
        self._client = client
        self._section = section
        self._default = options.default_swift_reference
        self._references = references.load(options)
        if location.parse(location.format_reference(self._default, 'c', 'n')) is None:
            raise contract.Misconfigured('default_swift_reference is part of URLs, so it cannot '
                                         f'be {self._default!r}')
        self._lock = threading.Lock()
        self._foreign: dict[tuple, Reference | None] = {}
        self._sources: dict[Reference, contract.CredentialSource] = {}
        try:
            self._source(self._references[self._default])
        except contract.Misconfigured as error:
            raise contract.Misconfigured(
                f'{error}; set an account by swift_store_config_file, by '
                'swift_store_auth_address and its further options, or by auth_url and its '
                'further options') from None

    # URLs

    def new_location(self, key: str, account: Account) -> tuple[str, str]:
        """Return the container and the URL for a new object."""
        container = self.container_name(key)
        return container, location.format_reference(self._default, container, key)

    def container_name(self, key: str) -> str:
        name = self._options.swift_store_container
        seed = self._options.swift_store_multiple_containers_seed
        if not seed:
            return name
        key = key.lower()
        return f'{name}_{key[:seed + key[:seed].count("-")]}'

    def parse(self, url: str) -> ObjectLocation:
        """Return the parts of a URL.

        :raises Invalid: it does not refer to an account that can be used.
        """
        target = location.parse(url)
        if target is None or self._reference_of(target) is None:
            raise store_rules.foreign_url()
        return target

    def owns(self, url: str) -> bool:
        target = location.parse(url)
        if target is None or not self._is_own_container(target.container, target.name):
            return False
        names = (self._default, *self._options.swift_store_old_references)
        if target.is_reference:
            return target.site in names
        return any(self._references[name].matches(target) for name in names)

    def adopt(self, url: str, ctx: contract.Context | None) -> str:
        if not self._options.swift_store_adopt_containers:
            raise contract.Unsupported('This store does not accept locations.')
        target = location.parse(url)
        default = self._references[self._default]
        if (target is None or target.is_reference or target.user is not None
                or not default.matches(target)):
            raise contract.Invalid('This store does not accept this location.')
        if target.container not in self._options.swift_store_adopt_containers:
            # otherwise users could read the data of other images
            raise contract.Invalid('This store does not accept locations in this container.')
        return location.format_reference(self._default, target.container, target.name)

    def exclusive_resources(self) -> Collection[str]:
        return [f'swift+config://{self._default}/{self._options.swift_store_container}']

    # accounts

    def open(self, target: ObjectLocation | None, ctx: contract.Context | None) -> Account:
        """Return the account of an object, or of new ones if ``target`` is None."""
        reference = self._reference_of(target) if target else self._references[self._default]
        assert reference is not None
        credential = self._source(reference).open(ctx)
        if credential is None:
            raise contract.Unavailable('There is no account for the object store.')
        with contextlib.ExitStack() as on_error:
            on_error.callback(credential.close)
            if reference.project_id and credential.project not in (None, reference.project_id):
                raise contract.Unavailable('The account belongs to another project.')
            account = Account(self._client, self._account_url(credential), credential)
            on_error.pop_all()
        return account

    def prepare_long_upload(self, account: Account, ctx: contract.Context | None) -> None:
        """Do nothing: the service can always get a new token."""

    def create_container(self, account: Account, container: str) -> bool:
        """Create a missing container; return whether it is for one object only."""
        if not self._options.swift_store_create_container_on_put:
            raise contract.Unavailable(
                f'The container {container} of this store does not exist, and '
                'swift_store_create_container_on_put is not set.')
        account.create_container(container)
        return False

    def check_root(self, account: Account, container: str) -> None:
        """
        :raises Unavailable: the container of the data does not exist.
        """
        try:
            account.head_container(container)
        except contract.NotFound:
            LOG.error('there is no container %s', container)
            raise contract.Unavailable('The container of this store does not exist.') from None

    def check_discarding(self, account: Account, container: str) -> None:
        """Check that partial data can be missing.

        A container that an upload would create has none.

        :raises Unavailable: the container does not exist.
        """
        if not self._options.swift_store_create_container_on_put:
            self.check_root(account, container)

    def on_deleted(self, account: Account, target: ObjectLocation) -> None:
        """Do nothing: the container is for other objects, too."""

    def health(self) -> str:
        with self.open(None, None) as account:
            name = self._options.swift_store_container
            if self._options.swift_store_multiple_containers_seed:
                account.head_account()
                return f'containers {name}_*'
            try:
                head = account.head_container(name)
                count = head.get('X-Container-Object-Count', '0')
            except contract.NotFound:
                if not self._options.swift_store_create_container_on_put:
                    raise contract.Unavailable(f'there is no container {name}') from None
                count = '0'
            return f'container {name}: {count} objects'

    def _is_own_container(self, container: str, name: str) -> bool:
        """Return whether this store may have chosen the container, with any seed."""
        own = self._options.swift_store_container
        if container == own:
            return True
        suffix = container.removeprefix(f'{own}_')
        return suffix != container and bool(suffix) and name.lower().startswith(suffix)

    def _reference_of(self, target: ObjectLocation) -> Reference | None:
        if target.is_reference:
            return self._references.get(target.site)
        configured = [self._references[self._default], *self._references.values()]
        for reference in configured:
            if reference.matches(target):
                return reference
        key = target.site_url, target.user, target.key
        with self._lock:
            if key not in self._foreign:
                self._foreign[key] = next(filter(None, (
                    reference.with_credentials_of(target) for reference in configured)), None)
            return self._foreign[key]

    def _source(self, reference: Reference) -> contract.CredentialSource:
        with self._lock:
            source = self._sources.get(reference)
            if source is None:
                source = self._sources[reference] = self._host.load(
                    contract.CredentialSource, 'service', self._section, reference.login)
            return source

    def _account_url(self, credential: contract.Credential) -> str:
        if self._options.swift_store_endpoint:
            return endpoints.from_options(self._options, credential.project)
        return endpoints.from_catalog(self._options, credential)
