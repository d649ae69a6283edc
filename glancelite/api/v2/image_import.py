"""``/v2/images/{image_id}/stage`` and ``.../import``: interoperable import."""

from __future__ import annotations

from typing import Any

from glancelite import contract
from glancelite.api.message import Request, Response, encode_json
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.api.v2.image_file import announced_size, check_media_type
from glancelite.assembly import Core
from glancelite.services.imports import ImportRequest
from glancelite.support import buffers

#: the method whose data is staged by the user
_DIRECT = 'glance-direct'


class Stage(Resource):

    def __init__(self, core: Core):
        super().__init__()
        self._stages = core.use_cases.stages
        self._imports = core.use_cases.imports
        self._buffers = buffers.Pool()

    @operation('Stage the data of an image, for an import that follows.', accepts='bytes',
               statuses=(204,))
    def put(self, request: Request, image_id: str) -> Response:
        if _DIRECT not in self._imports.methods:
            raise contract.NotFound(f'The import method {_DIRECT} is not enabled at this site.')
        check_media_type(request)
        self._stages.receive(request.context, image_id, request.data(self._buffers),
                             size=announced_size(request))
        return Response.empty()


class Import(Resource):

    def __init__(self, core: Core):
        super().__init__()
        self._imports = core.use_cases.imports
        self._images = core.use_cases.images
        self._multi_store = core.settings.multi_store

    @operation('Import the data of an image.', accepts='object', statuses=(202,))
    def post(self, request: Request, image_id: str) -> Response:
        body = request.json_object()
        method = body.get('method')
        if not isinstance(method, dict) or 'name' not in method:
            raise contract.Invalid("The body must have the member 'method', with the member "
                                   "'name'.")
        self._imports.check_method(method['name'])
        self._imports.begin(request.context, image_id, ImportRequest(
            method, stores=body.get('stores'), all_stores=_flag(body, 'all_stores'),
            all_stores_must_succeed=_flag(body, 'all_stores_must_succeed'),
            header_store=request.environ.get('HTTP_X_IMAGE_META_STORE')
            if self._multi_store else None))
        return Response.empty(202)


class ImportInfo(Resource):
    """``/v2/info/import``: the import methods."""

    def __init__(self, core: Core):
        super().__init__()
        self._imports = core.use_cases.imports

    @operation('Show the import methods.', returns='object', ignores_body=True)
    def get(self, request: Request) -> Response:
        return Response.json(encode_json({'import-methods': {
            'description': 'Import methods available.', 'type': 'array',
            'value': list(self._imports.methods)}}))


def _flag(body: dict[str, Any], name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise contract.Invalid(f"'{name}' must be true or false.")
    return value
