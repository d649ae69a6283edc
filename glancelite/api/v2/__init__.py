"""Version 2 of the Image API."""

from __future__ import annotations

from glancelite.api.openapi import OpenAPI
from glancelite.api.resource import Resource
from glancelite.api.v2.image_import import ImportInfo
from glancelite.api.v2.images import Images
from glancelite.api.v2.info import Stores, Usage
from glancelite.api.v2.locations import StoreCopy
from glancelite.api.v2.metadefs import metadefs
from glancelite.api.v2.schemas import schemas
from glancelite.api.v2.tasks import Tasks
from glancelite.assembly import Core


def root(core: Core) -> Resource:
    """Return the resource ``/v2``."""
    children: dict[str, Resource] = {
        'images': Images(core),
        'info': Resource({'usage': Usage(), 'stores': Stores(core),
                          'import': ImportInfo(core)}),
        'metadefs': metadefs(core),
        'tasks': Tasks(core),
        'schemas': schemas(core.documents),
        'stores': Resource(variable=Resource(variable=StoreCopy(core))),
    }
    children['openapi.json'] = OpenAPI(children, core.documents)
    return Resource(children)
