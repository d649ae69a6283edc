"""``/v2/images``: images, without their data."""

from __future__ import annotations

from collections.abc import Mapping

from glancelite import contract
from glancelite.api import paging
from glancelite.api.errors import HTTPError
from glancelite.api.message import Request, Response, base_url
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.api.v2.actions import Deactivate, Reactivate
from glancelite.api.v2.image_file import ImageFile
from glancelite.api.v2.image_import import Import, Stage
from glancelite.api.v2.locations import Locations
from glancelite.api.v2.members import Members
from glancelite.api.v2.tags import Tag
from glancelite.api.v2.tasks import ImageTasks
from glancelite.assembly import Core
from glancelite.domain import patch


class _ImageResource(Resource):
    """A resource that shows images."""

    def __init__(self, core: Core, children: Mapping[str, Resource] | None = None,
                 variable: Resource | None = None):
        super().__init__(children, variable)
        self._images = core.use_cases.images
        self._schema = core.schema
        self._view = core.view

    def _json(self, request: Request, image: contract.Image) -> bytes:
        ctx = request.context
        visible = (not self._view.shows_locations
                   or bool(self._images.may_see_locations_of(ctx, [image])))
        return self._view.dumps(image, may_see_locations=visible, ctx=ctx)


class Images(_ImageResource):
    """``/v2/images``."""

    def __init__(self, core: Core):
        super().__init__(core, variable=Image(core))
        self._settings = settings = core.settings
        #: headers that tell the creator of an image how it can receive data
        self._upload_headers: list[tuple[str, str]] = []
        self._imports = core.use_cases.imports
        if settings.multi_store:
            self._upload_headers.append(('OpenStack-image-store-ids',
                                         ','.join(settings.store_ids)))

    @operation('List images.', returns='images', ignores_body=True)
    def get(self, request: Request) -> Response:
        parameters = paging.parse_query(request.environ.get('QUERY_STRING', ''))
        query, marker = paging.image_query(
            request.context, parameters, default_limit=self._settings.limit_param_default,
            max_limit=self._settings.api_limit_max)
        page = self._images.list(request.context, query, marker)
        first, following = paging.page_links(parameters, page.next_marker)
        visible = (self._images.may_see_locations_of(request.context, page.images)
                   if self._view.shows_locations else None)
        return Response.json(self._view.page(page.images, first=first, following=following,
                                             may_see_locations_of=visible,
                                             ctx=request.context), made_of=page)

    @operation('Create an image.', accepts='image', returns='image', statuses=(201,))
    def post(self, request: Request) -> Response:
        self._images.check_caller(request.context, 'add_image')
        creation = self._schema.create(request.json_object())
        image = self._images.create(request.context, creation)
        base = base_url(request.environ, self._settings.public_endpoint)
        return Response.json(self._json(request, image), 201, (
            ('Location', f'{base}/v2/images/{image.id}'), *self._import_headers(),
            *self._upload_headers))

    def _import_headers(self) -> tuple[tuple[str, str], ...]:
        methods = ','.join(self._imports.methods)
        return (('OpenStack-image-import-methods', methods),) if methods else ()


class Image(_ImageResource):
    """``/v2/images/{image_id}``."""

    def __init__(self, core: Core):
        super().__init__(core, {
            'file': ImageFile(core),
            'actions': Resource({'deactivate': Deactivate(core),
                                 'reactivate': Reactivate(core)}),
            'import': Import(core),
            'stage': Stage(core),
            'tasks': ImageTasks(core),
            'locations': Locations(core),
            'members': Members(core),
            'tags': Resource(variable=Tag(core)),
        })

    @operation('Show an image.', returns='image')
    def get(self, request: Request, image_id: str) -> Response:
        image = self._images.get(request.context, image_id)
        return Response.json(self._json(request, image), made_of=image)

    @operation('Change an image with a JSON patch.', accepts='patch', returns='image')
    def patch(self, request: Request, image_id: str) -> Response:
        try:
            dialect = patch.dialect(request.media_type)
        except contract.WrongContent as error:
            raise HTTPError(415, str(error), (('Accept-Patch', patch.ACCEPT_PATCH),)) from None
        # the answer to a short body may depend on it: anyone who sees the image may send []
        body = request.json(if_long=lambda: self._images.check_caller(
            request.context, 'modify_image', image_id))
        operations = patch.parse(body, dialect, self._schema.validate_attribute)
        image = self._images.update(request.context, image_id, operations)
        return Response.json(self._json(request, image), made_of=image)

    @operation('Delete an image and its data.', statuses=(204,))
    def delete(self, request: Request, image_id: str) -> Response:
        self._images.delete(request.context, image_id)
        return Response.empty()
