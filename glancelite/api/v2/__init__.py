"""Version 2 of the Image API."""

from __future__ import annotations

from typing import Any

from glancelite.api.openapi import OpenAPI
from glancelite.api.resource import Resource
from glancelite.api.v2.images import Images
from glancelite.api.v2.info import Stores, Usage
from glancelite.api.v2.locations import Copy
from glancelite.api.v2.schemas import schemas


def root(core: Any) -> Resource:
    """Everything below ``/v2``."""
    below: dict[str, Resource] = {
        'images': Images(core),
        'info': Resource({'usage': Usage(), 'stores': Stores(core)}),
        'schemas': schemas(core.documents),
        'stores': Resource(each=Resource(each=Copy(core))),
    }
    below['openapi.json'] = OpenAPI(below, core.documents)
    return Resource(below)
