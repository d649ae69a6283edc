"""``/v2/metadefs``: definitions of what properties mean."""

from __future__ import annotations

from glancelite.api.resource import Resource
from glancelite.api.v2.metadefs.namespaces import Namespaces
from glancelite.api.v2.metadefs.resource_types import ResourceTypes
from glancelite.assembly import Core


def metadefs(core: Core) -> Resource:
    """Return the resource ``/v2/metadefs``."""
    return Resource({'namespaces': Namespaces(core), 'resource_types': ResourceTypes(core)})
