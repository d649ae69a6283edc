"""Use cases of metadata definitions: namespaces and their items."""

from glancelite.services.metadefs.items import Objects
from glancelite.services.metadefs.namespaces import Namespaces
from glancelite.services.metadefs.properties import Properties
from glancelite.services.metadefs.resource_types import ResourceTypes
from glancelite.services.metadefs.tags import TagQuery, Tags

__all__ = ['Namespaces', 'Objects', 'Properties', 'ResourceTypes', 'TagQuery', 'Tags']
