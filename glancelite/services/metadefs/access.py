"""What all use cases of metadata definitions share: reading namespaces for a caller, texts."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator

from glancelite import contract
from glancelite.contract import Context
from glancelite.contract.database import MetadefRecords
from glancelite.contract.metadef import Definition, Item, Namespace
from glancelite.services.layers import Layers

#: kind -> its word in the texts of errors
WORDS = {'objects': 'object', 'properties': 'property', 'tags': 'tag',
         'resource_types': 'resource-type-association'}


class Access:
    """Reads namespaces and asks the policy.  A namespace that is not visible does not exist."""

    def __init__(self, layers: Layers):
        self._layers = layers

    @property
    def records(self) -> MetadefRecords:
        return self._layers.database.metadefs

    def namespace(self, ctx: Context, name: str, *actions: str) -> Namespace:
        """Return a namespace with which the caller may do this.

        :raises NotFound: the caller sees no such namespace.
        :raises Forbidden: the caller may not do this.
        """
        with existing(name):
            namespace = self.records.get(name)
        self._check(ctx, namespace, actions)
        return namespace

    def definition(self, ctx: Context, name: str, kinds: Collection[str],
                   *actions: str) -> Definition:
        """Return a namespace with items, in one read; raises as ``namespace`` does."""
        with existing(name):
            definition = self.records.read(name, kinds)
        self._check(ctx, definition.namespace, actions)
        return definition

    def enforce(self, ctx: Context, action: str, namespace: Namespace | None = None) -> None:
        self._layers.policy.enforce(ctx, action, namespace)

    def check_caller(self, ctx: Context, action: str, name: str | None = None) -> None:
        """Refuse a caller who may do this with no namespace, before the body is read.

        :param name: the namespace of the request; None if it is not created yet.
        """
        if not self._layers.policy.may_ever(ctx, action):
            if name is not None:
                self.namespace(ctx, name, action)
            self.enforce(ctx, action)

    def _check(self, ctx: Context, namespace: Namespace, actions: Collection[str]) -> None:
        if not namespace.is_visible_to(ctx.viewer):
            raise _no_namespace(namespace.namespace)
        for action in actions:
            self.enforce(ctx, action, namespace)


@contextlib.contextmanager
def existing(namespace: str) -> Iterator[None]:
    """Surrounds a read of a namespace; users get one text for one that they do not see."""
    try:
        yield
    except contract.NotFound:
        raise _no_namespace(namespace) from None


@contextlib.contextmanager
def writing(namespace: str, item: Item, name: str | None = None) -> Iterator[None]:
    """Surrounds a write of an item; users get texts that name it.

    :param name: the present name of the item, if it gets another one.
    """
    word = WORDS[item.KIND]
    try:
        yield
    except contract.NotFound:
        raise no_item(namespace, item.KIND, name or item.name) from None
    except contract.Conflict:
        raise contract.Conflict(f'A metadata definition {word} with name={item.name} already '
                                f'exists in namespace={namespace}.') from None


def no_item(namespace: str, kind: str, name: str) -> contract.NotFound:
    return contract.NotFound(f'The metadata definition {WORDS[kind]} with name={name} was not '
                             f'found in namespace={namespace}.')


def check_unprotected(namespace: Namespace, what: str) -> None:
    """
    :param what: what would be deleted, such as ``object=X``.
    :raises Forbidden: the namespace is protected.
    """
    if namespace.protected:
        raise contract.Forbidden(f'Metadata definition {what} is protected and cannot be '
                                 'deleted.')


def _no_namespace(name: str) -> contract.NotFound:
    return contract.NotFound(f'Namespace {name} not found')
