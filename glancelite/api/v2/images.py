"""``/v2/images``: images, without their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glancelite import contract
from glancelite.api import paging
from glancelite.api.errors import Refusal
from glancelite.api.message import Request, Response, base_url
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.api.v2.actions import Deactivate, Reactivate
from glancelite.api.v2.image_file import ImageFile
from glancelite.api.v2.locations import Locations
from glancelite.api.v2.members import Members
from glancelite.api.v2.tags import Tag
from glancelite.domain import patch


class _Shows(Resource):
    """Knows how images look, and who may see where their bytes are."""

    def __init__(self, core: Any, below: Mapping[str, Resource] | None = None,
                 each: Resource | None = None):
        super().__init__(below, each)
        self._images = core.images
        self._schema = core.schema
        self._view = core.view

    def _shown(self, request: Request, image: contract.Image) -> bytes:
        if not self._view.shows_locations:
            return self._view.dumps(image)
        seen = self._images.may_see_locations_of(request.context, [image])
        return self._view.dumps(image, may_see_locations=bool(seen))


class Images(_Shows):
    """``/v2/images``."""

    def __init__(self, core: Any):
        super().__init__(core, each=Image(core))
        self._settings = settings = core.settings
        self._announced: list[tuple[str, str]] = []
        if settings.import_methods:
            self._announced.append(('OpenStack-image-import-methods',
                                    ','.join(settings.import_methods)))
        if settings.multi_store:
            self._announced.append(('OpenStack-image-store-ids', ','.join(settings.store_ids)))

    @operation('List images.', gives='images', ignores_body=True)
    def get(self, request: Request) -> Response:
        given = paging.pairs(request.environ.get('QUERY_STRING', ''))
        query, marker = paging.query(request.context, given,
                                     default=self._settings.limit_param_default,
                                     most=self._settings.api_limit_max)
        page = self._images.list(request.context, query, marker)
        first, following = paging.links(given, page.next_marker)
        seen = (self._images.may_see_locations_of(request.context, page.images)
                if self._view.shows_locations else None)
        return Response.json(self._view.page(page.images, first=first, following=following,
                                             may_see_locations_of=seen))

    @operation('Register an image.', takes='image', gives='image', answers=(201,))
    def post(self, request: Request) -> Response:
        creation = self._schema.create(request.json_object())
        image = self._images.create(request.context, creation)
        base = base_url(request.environ, self._settings.public_endpoint)
        return Response.json(self._shown(request, image), 201, (
            ('Location', f'{base}/v2/images/{image.id}'), *self._announced))


class Image(_Shows):
    """``/v2/images/{image_id}``."""

    def __init__(self, core: Any):
        super().__init__(core, {
            'file': ImageFile(core),
            'actions': Resource({'deactivate': Deactivate(core),
                                 'reactivate': Reactivate(core)}),
            'locations': Locations(core),
            'members': Members(core),
            'tags': Resource(each=Tag(core)),
        })

    @operation('Show an image.', gives='image')
    def get(self, request: Request, image_id: str) -> Response:
        image = self._images.get(request.context, image_id)
        return Response.json(self._shown(request, image))

    @operation('Change an image by a JSON patch.', takes='patch', gives='image')
    def patch(self, request: Request, image_id: str) -> Response:
        try:
            dialect = patch.dialect(request.media_type)
        except contract.WrongContent as error:
            raise Refusal(415, str(error), (('Accept-Patch', patch.ACCEPT_PATCH),)) from None
        operations = patch.parse(request.json(), dialect, self._schema.validate_attribute)
        image = self._images.update(request.context, image_id, operations)
        return Response.json(self._shown(request, image))

    @operation('Delete an image and its data.', answers=(204,))
    def delete(self, request: Request, image_id: str) -> Response:
        self._images.delete(request.context, image_id)
        return Response.empty()
