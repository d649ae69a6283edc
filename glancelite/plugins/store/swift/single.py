"""All images in the account of the service."""

from __future__ import annotations

import threading
from collections.abc import Collection

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.swift import location, references
from glancelite.plugins.store.swift.account import Account
from glancelite.plugins.store.swift.location import Address
from glancelite.plugins.store.swift.references import Reference


class OneAccount:
    """One account for what is new, and those that were there before.

    New addresses are ``swift+config://REFERENCE/CONTAINER/NAME``. Those with credentials that
    Glance writes where it has no swift_store_config_file mean an account by their project and
    identity service; if it is one of ours, our credentials are used and not theirs.
    """

    def __init__(self, options, host, pool, section):
        self._options = options
        self._host = host
        self._pool = pool
        self._section = section
        self._default = options.default_swift_reference
        self._references = references.load(options)
        if location.parse(f'swift+config://{self._default}/c/n') is None:
            raise contract.Misconfigured('default_swift_reference becomes part of addresses, so '
                                         f'it cannot be {self._default!r}')
        self._lock = threading.Lock()
        self._others: dict[tuple, Reference | None] = {}
        self._sources: dict[Reference, contract.CredentialSource] = {}
        try:
            self._source(self._references[self._default])
        except contract.Misconfigured as error:
            raise contract.Misconfigured(
                f'{error}; an account is given by swift_store_config_file, by '
                'swift_store_auth_address and what belongs to it, or by auth_url and what '
                'belongs to it') from None

    # where

    def place(self, key: str, account: Account) -> tuple[str, str]:
        """The container of a new image, and its address."""
        container = self.container(key)
        return container, f'swift+config://{self._default}/{container}/{key}'

    def container(self, key: str) -> str:
        name = self._options.swift_store_container
        seed = self._options.swift_store_multiple_containers_seed
        if not seed:
            return name
        key = key.lower()
        return f'{name}_{key[:seed + key[:seed].count("-")]}'

    def find(self, url: str) -> Address:
        """What the address means here.

        :raises Invalid: nothing.
        """
        address = location.parse(url)
        if address is None or self._whose(address) is None:
            raise store_rules.foreign_url()
        return address

    def owns(self, url: str) -> bool:
        address = location.parse(url)
        if address is None or not self._holds(address.container, address.name):
            return False
        names = (self._default, *self._options.swift_store_old_references)
        if address.scheme == 'config':
            return address.site in names
        return any(self._references[name].has(address) for name in names)

    def adopt(self, url: str, ctx: contract.Context | None) -> str:
        if not self._options.swift_store_adopt_containers:
            raise contract.Unsupported('This store takes only what it is given.')
        address = location.parse(url)
        default = self._references[self._default]
        if (address is None or address.scheme == 'config' or address.user is not None
                or not default.has(address)):
            raise contract.Invalid('There is no image that this store could take from there.')
        if address.container not in self._options.swift_store_adopt_containers:
            # whoever names an image here could read those of everybody else
            raise contract.Invalid('Images cannot be taken from this container.')
        return f'swift+config://{self._default}/{address.container}/{address.name}'

    def exclusive_resources(self) -> Collection[str]:
        return [f'swift+config://{self._default}/{self._options.swift_store_container}']

    # who

    def open(self, address: Address | None, ctx: contract.Context | None, *,
             key: str = '') -> Account:
        """The account in which an image is, or will be; None for a new one."""
        if address is None:
            reference = self._references[self._default]
        else:
            reference = self._whose(address)
            assert reference is not None
        credential = self._source(reference).open(ctx)
        if credential is None:
            raise contract.Unavailable('There is no account for the object store.')
        try:
            if reference.project_id and credential.project not in (None, reference.project_id):
                raise contract.Unavailable('The account is one of another project.')
            return Account(self._pool, self._storage(credential), credential)
        except BaseException:
            credential.close()
            raise

    def prolong(self, account: Account, ctx: contract.Context | None) -> None:
        """The account of the service can always renew its token."""

    def prepare(self, account: Account, container: str) -> bool:
        """Make a missing container; returns whether it is for one image alone."""
        if not self._options.swift_store_create_container_on_put:
            raise contract.Unavailable(
                f'The container {container} of this store does not exist, and '
                'swift_store_create_container_on_put is not set.')
        account.make(container)
        return False

    def emptied(self, account: Account, address: Address) -> None:
        """Nothing to do: the container is for other images too."""

    def health(self) -> str:
        with self.open(None, None) as account:
            name = self._options.swift_store_container
            if self._options.swift_store_multiple_containers_seed:
                account.facts()
                return f'containers {name}_*'
            try:
                count = account.facts(name).get('X-Container-Object-Count', '0')
            except contract.NotFound:
                if not self._options.swift_store_create_container_on_put:
                    raise contract.Unavailable(f'there is no container {name}') from None
                count = '0'
            return f'container {name}: {count} objects'

    # how

    def _holds(self, container, name):
        """Could this container be one that we have chosen, with this seed or another?"""
        own = self._options.swift_store_container
        if container == own:
            return True
        seed = container.removeprefix(f'{own}_')
        return seed != container and bool(seed) and name.lower().startswith(seed)

    def _whose(self, address) -> Reference | None:
        if address.scheme == 'config':
            return self._references.get(address.site)
        known = [self._references[self._default], *self._references.values()]
        for reference in known:
            if reference.has(address):
                return reference
        key = address.url, address.user, address.key
        with self._lock:
            if key not in self._others:
                self._others[key] = next(filter(None, (
                    reference.other(address) for reference in known)), None)
            return self._others[key]

    def _source(self, reference):
        with self._lock:
            found = self._sources.get(reference)
            if found is None:
                found = self._sources[reference] = self._host.load(
                    contract.CredentialSource, 'service', self._section, reference.login)
            return found

    def _storage(self, credential):
        options = self._options
        if options.swift_store_endpoint:
            return options.swift_store_endpoint.replace(
                '%(project_id)s', credential.project or '').rstrip('/')
        return credential.endpoint(
            options.swift_store_service_type, region=options.swift_store_region,
            interface=options.swift_store_endpoint_type)
