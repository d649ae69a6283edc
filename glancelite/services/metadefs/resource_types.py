"""Use cases of the types of resources, and of the associations of namespaces with them."""

from __future__ import annotations

from collections.abc import Sequence

from glancelite import contract
from glancelite.contract import Context
from glancelite.contract.metadef import Association, ResourceType
from glancelite.services.metadefs.items import Items


class ResourceTypes(Items[Association]):

    KIND = 'resource_types'
    EVENTS = 'metadef_resource_type'
    ADD = 'add_metadef_resource_type_association'
    REMOVE = 'remove_metadef_resource_type_association'

    def all(self, ctx: Context) -> Sequence[ResourceType]:
        """Return every type of resources that is known.

        :raises NotFound: the caller may see no namespaces.
        """
        self._access.enforce(ctx, 'list_metadef_resource_types')
        return self._access.records.resource_types()

    def list(self, ctx: Context, namespace: str) -> Sequence[Association]:
        """Return the associations of a namespace."""
        definition = self._access.definition(ctx, namespace, [self.KIND],
                                             'list_metadef_resource_types')
        if self._layers.policy.allows(ctx, 'get_metadef_resource_type', definition.namespace):
            return definition.resource_types
        return ()

    def _not_found(self, namespace: str, name: str) -> contract.NotFound:
        return contract.NotFound(f'Failed to find resource type {name} to delete')
