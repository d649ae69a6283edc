"""Tasks of the type ``import``: create an image, and import its data from a URL.

Source: Image API contract, tasks.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from glancelite import contract
from glancelite.contract import Context, Image, Task
from glancelite.domain import imports
from glancelite.schema.image import Creation
from glancelite.services import import_lock, optimistic
from glancelite.services.images import Images
from glancelite.services.importing import TYPE as IMAGE_IMPORT
from glancelite.services.importing import Importing
from glancelite.services.imports import check_arguments
from glancelite.services.layers import Layers
from glancelite.services.work import FINAL, Claim, Ended, Work

LOG = logging.getLogger(__name__)

TYPE = 'import'
#: the import method that these tasks use
METHOD = 'web-download'


class TaskImport:
    """
    :param importer: of the method ``web-download``; None if it is not enabled.
    """

    def __init__(self, layers: Layers, work: Work, images: Images, importing: Importing,
                 importer: contract.Importer | None):
        self._layers = layers
        self._images = images
        self._importing = importing
        self._importer = importer
        work.register(TYPE, self.run)

    def check(self, ctx: Context, given: Mapping[str, Any],
              creation: Creation) -> dict[str, Any]:
        """Return the journal of a new task.

        :param given: has ``import_from``.
        :param creation: the image to create.
        :raises Invalid: the input is wrong.
        """
        url = given['import_from']
        if not isinstance(url, str) or not url.strip():
            raise contract.Invalid('import_from must be a URL.')
        if not url.startswith(('http://', 'https://')):
            raise contract.Invalid('import_from must be an http or https URL.')
        if self._importer is None:
            raise contract.Invalid(f'The import method {METHOD} is not enabled here.')
        image = Image('00000000-0000-0000-0000-000000000000', disk_format='raw',
                      container_format='bare', owner=ctx.project)
        arguments = check_arguments(self._importer, ctx, image, {'name': METHOD, 'uri': url})
        return {'version': 1, 'method': METHOD, 'arguments': dict(arguments), 'copies': False,
                'stores': [self._layers.stores.default], 'all_must_succeed': True,
                'image_id': creation.fields.get('id') or str(uuid.uuid4()),
                'fields': dict(creation.fields), 'properties': dict(creation.properties)}

    def run(self, claim: Claim) -> None:
        """Create the image, unless that was done, and import its data."""
        task = claim.task
        if task.image_id is None:
            try:
                claim.check()
                image = self._create(claim)
            except Ended as ended:
                if ended.reason not in FINAL:
                    raise
                claim.finish('failure', str(ended))
                return
            except contract.Unavailable as error:
                claim.pause(self._importing.options.pause(task.attempt), error)
                return
            except contract.Error as error:
                claim.finish('failure', imports.reason_for_users(error))
                return
            except Exception:       # a defect, possibly of a plugin
                LOG.exception('task %s cannot create its image', task.id)
                claim.finish('failure', 'The server met an internal error.')
                return
            claim.write(image_id=image.id)
        self._importing.run(claim)

    def _create(self, claim: Claim) -> Image:
        """Return the new image, locked by the task."""
        task, records = claim.task, self._layers.database.images
        image_id = task.journal['image_id']
        creation = Creation({'disk_format': 'raw', 'container_format': 'bare',
                             **task.journal['fields'], 'id': image_id},
                            dict(task.journal['properties']))
        try:
            return self._images.create(claim.ctx, creation, lock=task.id)
        except contract.Conflict:
            image = records.get(image_id, viewer=claim.ctx.viewer)
            if imports.lock_of(image.properties) != task.id:
                raise
            return image    # a process died after it had created the image

    def restart(self, ctx: Context, task: Task, **changes: object) -> Task:
        """Lock the image again, and set the failed task to ``pending``.

        :param changes: of the task.
        :raises Conflict: the image does not allow it now.
        """
        records = self._layers.database.images
        if task.image_id is None:
            return self._layers.database.tasks.restart(task, changes)
        expected = ('active' if task.journal['copies'] else
                    'uploading' if task.journal['method'] == 'glance-direct' else 'queued')

        def decide(image: Image) -> Mapping[str, object]:
            holder = import_lock.holder_of(self._layers, image)
            if image.status != expected or holder is not None:
                raise contract.Conflict(
                    f'Image {image.id} does not allow another try: its status is '
                    f'{image.status}' + (f', and task {holder} has locked it.' if holder else '.'))
            return {'properties': imports.locked(image.properties, task.id)}

        image = optimistic.change(records, task.image_id, decide)
        assert image is not None
        journal = {name: value for name, value in task.journal.items() if name in (
            'version', 'method', 'arguments', 'stores', 'all_must_succeed', 'copies', 'caller',
            'image_id', 'fields', 'properties')}
        journal['locations_before'] = [each.url for each in image.locations]
        staged = imports.staged_of(image.properties)
        if task.type == IMAGE_IMPORT and staged is not None:
            journal['staged'] = staged
        return self._layers.database.tasks.restart(
            task, {'journal': journal, 'progress': {}, **changes})
