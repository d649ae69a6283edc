"""Use cases of the properties of namespaces."""

from __future__ import annotations

from collections.abc import Sequence

from glancelite import contract
from glancelite.contract import Context
from glancelite.contract.metadef import Association, DefinedProperty
from glancelite.services.metadefs.access import no_item
from glancelite.services.metadefs.items import NamedItems


class Properties(NamedItems[DefinedProperty]):

    KIND = 'properties'
    EVENTS = 'metadef_property'
    ADD = 'add_metadef_property'
    REPLACE = 'modify_metadef_property'
    REMOVE = 'remove_metadef_property'

    def list(self, ctx: Context, namespace: str) -> Sequence[DefinedProperty]:
        """Return the properties of a namespace."""
        return self._access.definition(
            ctx, namespace, ['properties'], 'get_metadef_properties').properties

    def get(self, ctx: Context, namespace: str, name: str,
            resource_type: str | None = None) -> DefinedProperty:
        """Return one property.

        :param resource_type: ``name`` has the prefix for this type of resources.
        :raises NotFound: there is no such property, or no such prefix.
        """
        found = self._access.namespace(ctx, namespace, 'get_metadef_property')
        if resource_type:
            self._access.enforce(ctx, 'get_metadef_resource_type', found)
            name = self._without_prefix(namespace, name, resource_type)
        return self._find(namespace, name)

    def _without_prefix(self, namespace: str, name: str, resource_type: str) -> str:
        kind = Association.KIND
        try:
            association = self._access.records.item(namespace, kind, resource_type)
        except contract.NotFound:
            raise no_item(namespace, kind, resource_type) from None
        prefix = association.prefix if isinstance(association, Association) else None
        if prefix and name.startswith(prefix):
            return name.removeprefix(prefix)
        raise contract.NotFound(f'Property {name} does not start with the expected resource type '
                                f"association prefix of '{prefix}'.")
