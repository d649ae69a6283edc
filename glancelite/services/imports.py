"""The use case that accepts imports.  ``importing`` runs them."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from glancelite import contract
from glancelite.contract import Context, Image, QuotaRequest, Task
from glancelite.domain import imports, status
from glancelite.services import border, import_lock, optimistic
from glancelite.services.importing import TYPE
from glancelite.services.layers import Layers
from glancelite.services.work import Work, record_caller

LOG = logging.getLogger(__name__)

#: seconds for which the health of an import method is remembered
HEALTH_TIME = 30.0
#: bytes of a request and its arguments in JSON: processes read many tasks at once
LARGEST_REQUEST = 16 << 10


@dataclasses.dataclass(frozen=True, slots=True)
class ImportRequest:
    """The body of a request, and the header that names a store; None if it has none.

    ``stores`` is as the caller sent it.
    """

    method: Mapping[str, Any]
    stores: object = None
    all_stores: bool | None = None
    all_stores_must_succeed: bool | None = None
    header_store: str | None = None

    @property
    def name(self) -> str:
        """The name of the import method."""
        return str(self.method['name'])


class Imports:
    """
    :param work_dir: where steps may have files; by default the directory of temporary files.
    """

    def __init__(self, layers: Layers, work: Work, *, work_dir: str | None = None):
        self._layers = layers
        self._work_dir = work_dir
        self._work = work
        self._importers = layers.importers
        self._healthy: tuple[float, tuple[str, ...]] = (0.0, ())

    @property
    def methods(self) -> Sequence[str]:
        """The import methods that work here now."""
        until, names = self._healthy
        if time.monotonic() > until:
            staging_works = self._staging_works()
            runs_here = not self._layers.executor.RUNS_ELSEWHERE
            names = tuple(name for name, importer in self._importers.items()
                          if (staging_works or not importer.STAGES)
                          and not lacks_token(self._layers, importer)
                          and not (runs_here and not _works(importer)))
            self._healthy = time.monotonic() + HEALTH_TIME, names
        return names

    def check_staging(self) -> None:
        """Check what an import needs on this node that stages data.

        That is the staging area, and what the steps need, unless workers run them.

        :raises Unavailable: it cannot work on this node; the text is for the operator.
        """
        try:
            self._layers.staging.health()
        except (contract.Error, contract.Misconfigured) as error:
            raise contract.Unavailable(f'the staging area fails: {error}') from error
        if self._layers.executor.RUNS_ELSEWHERE:
            return
        for step in self._layers.steps:
            try:
                with border.Calling(step):
                    step.health()
            except Exception as error:
                raise contract.Unavailable(f'the step {step.name} fails: {error}') from error
        if self._layers.steps:
            self.check_work_dir()

    def check_work_dir(self) -> str:
        """Return the directory for the files of steps.

        :raises Unavailable: they cannot have files there on this node.
        """
        path = self._work_dir or tempfile.gettempdir()
        _check_work_dir(path)
        return path

    def _staging_works(self) -> bool:
        try:
            self.check_staging()
        except contract.Unavailable as error:
            LOG.warning('imports that stage data are not offered: %s', error)
            return False
        return True

    def check_method(self, name: object) -> str:
        """
        :raises Invalid: this is not the name of a method that is enabled here.
        """
        if not isinstance(name, str) or name not in self.methods:
            raise contract.Invalid('Unknown import method name '
                                   f'{name!r:.80}; enabled: {", ".join(self.methods)}.')
        return name

    def begin(self, ctx: Context, image_id: str, request: ImportRequest) -> Task | None:
        """Accept an import.  The caller sees the result in the image.

        :returns: the task; None if there is nothing to do.
        :raises NotFound: the caller sees no such image.
        :raises Forbidden: the caller may not do this.
        :raises Conflict: the status of the image does not allow it, another import has locked
            it, or there is no such store.
        :raises Invalid: an argument is wrong.
        :raises QuotaExceeded: the project has used up its quota.
        """
        layers = self._layers
        importer = self._importers[self.check_method(request.name)]
        records = layers.database
        task_id = str(uuid.uuid4())

        def decide(image: Image) -> tuple[Task, Mapping[str, object]] | None:
            if importer.STARTS_FROM == image.status == 'uploading':
                image = self._with_staged(image)
            task = self._check(ctx, image, importer, request, task_id)
            return None if task is None else (
                task, {'properties': imports.locked(image.properties, task_id)})

        def write(image: Image, decision: tuple[Task, Mapping[str, object]]) -> tuple[Task, Image]:
            task, changes = decision
            if importer.NEEDS_TOKEN:
                task = dataclasses.replace(task, node=self._work.private_node)
            return records.tasks.add_and_update(task, image, changes)

        accepted = optimistic.retry(lambda: records.images.get(image_id, viewer=ctx.viewer),
                                    decide, write)
        if accepted is None:
            return None
        task, written = accepted
        if importer.NEEDS_TOKEN:
            task = self._claim(task, written, ctx)
        layers.events.image(ctx, 'image.update', written)
        layers.events.task(ctx, 'task.create', task)
        self._work.remember(task.id, ctx)
        submit(layers, task)
        return task

    def _claim(self, task: Task, image: Image, ctx: Context) -> Task:
        """Claim a task whose caller only this process knows."""
        staged = task.journal.get('staged') or {}
        try:
            return self._work.claim(task, ctx, node=staged.get('node'))
        except BaseException:
            self._unlock(image, task.id)
            raise

    def _check(self, ctx: Context, image: Image, importer: contract.Importer,
               request: ImportRequest, task_id: str) -> Task | None:
        """Return the task of an import; None if there is nothing to do."""
        layers = self._layers
        limit = layers.quota.check(ctx, QuotaRequest(
            'import_image', image.owner, image=image))
        if limit is not None and limit < (image.size or 0):
            raise contract.QuotaExceeded('The quota does not permit an image of this size.')
        status.check_operation(request.name, image) if request.name in status.STARTS_FROM else (
            _check_status(importer, image))
        for name in ('disk_format', 'container_format'):
            if getattr(image, name) is None:
                raise contract.Conflict(f"'{name}' needs to be set before import")
        arguments = check_arguments(importer, ctx, image, request.method)
        layers.policy.enforce(ctx, importer.ACTION, image)
        import_lock.check(layers, image)
        stores = self._stores(importer, image, request)
        if not stores:
            return None
        staged = imports.staged_of(image.properties) if importer.STAGES else None
        if importer.STARTS_FROM == 'uploading' and not imports.is_staged(image.properties):
            raise contract.Conflict(
                f'The data of image {image.id} is not staged yet.'
                if imports.staged_of(image.properties) else
                f'The data of image {image.id} was staged by another service, and is not on '
                'this node. Delete the image, and create it again.')
        all_must = request.all_stores_must_succeed is not False
        shown = _shown(request, stores, shown_arguments(importer, arguments))
        check_length({**shown, 'arguments': arguments}, LARGEST_REQUEST)
        return Task(
            task_id, TYPE, owner=ctx.project or image.owner, image_id=image.id,
            user_id=ctx.user, request_id=ctx.request_id,
            node=None if staged is None else staged.get('node'),  # type: ignore[arg-type]
            input={'image_id': image.id, 'backend': list(stores),
                   'import_req': shown},
            journal={'version': 1, 'method': request.name, 'arguments': dict(arguments),
                     'stores': list(stores), 'all_must_succeed': all_must,
                     'copies': not importer.STAGES, 'caller': record_caller(ctx),
                     'locations_before': [each.url for each in image.locations],
                     **({} if staged is None else {'staged': staged})})

    def _with_staged(self, image: Image) -> Image:
        """Return the image with the data that Glance has staged for it on this node, if any."""
        if imports.staged_of(image.properties) is not None:
            return image
        found = self._layers.staging.of_glance(image.id)
        if found is None or found.size != image.size:   # Glance sets the size in the end
            LOG.warning('the staging area has no data of image %s, which Glance has staged on %s',
                        image.id, image.properties.get(imports.STAGE_HOST, 'one of its nodes'))
            return image
        return dataclasses.replace(image, properties=imports.adopted(
            image.properties, found.to_json()))

    # --- the lock

    def _unlock(self, image: Image, task_id: str) -> None:
        optimistic.update(
            self._layers.database.images, image.id, lambda present: (
                {'properties': imports.unlocked(present.properties)}
                if imports.lock_of(present.properties) == task_id else None))

    # --- the stores

    def _stores(self, importer: contract.Importer, image: Image,
                request: ImportRequest) -> Sequence[str]:
        """Return the stores that are to get the data.

        :raises Conflict: there is no such store.
        :raises Invalid: the request contradicts itself.
        """
        stores = self._layers.stores
        if not stores.multi:
            if request.all_stores_must_succeed is False:
                raise contract.Invalid('all_stores_must_succeed requires several stores.')
            return [stores.default]
        chosen = self._named(request)
        for name in chosen:
            if not isinstance(name, str) or name not in stores.names:
                raise contract.Conflict(f'There is no store {name!r:.80}; there are: '
                                        f'{", ".join(stores.names)}.')
            if not stores[name].is_writable:
                raise contract.Conflict(f'The store {name} does not accept data.')
        if request.all_stores:
            if request.stores is not None or request.header_store is not None:
                raise contract.Invalid('all_stores cannot be combined with a list of stores, or '
                                       'with the header x-image-meta-store.')
            chosen = [store.name for store in stores if store.is_writable]
        elif request.stores is not None and request.header_store is not None:
            raise contract.Invalid('Name the stores in the body or in the header '
                                   'x-image-meta-store, not in both.')
        if importer.STAGES:
            return chosen
        present = {store.name for location in image.active_locations
                   if (store := stores.find(location)) is not None}
        held = [name for name in chosen if name in present]
        if held and not request.all_stores:
            raise contract.Invalid(f'Image {image.id} is already in the store {held[0]}.')
        return [name for name in chosen if name not in present]

    def _named(self, request: ImportRequest) -> list[str]:
        """Return the stores that the request names, each once; the default one if none."""
        if request.stores is None:
            return [self._layers.stores.default if request.header_store is None
                    else request.header_store]
        if not isinstance(request.stores, list):
            raise contract.Conflict('stores must be a list of names.')
        if not request.stores:
            raise contract.Invalid('stores must name at least one store.')
        return list(dict.fromkeys(map(_hashable, request.stores)))


def check_arguments(importer: contract.Importer, ctx: Context, image: Image,
                    method: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of an import, as the importer wants to have them recorded.

    :param method: what the caller sent.
    :raises Invalid: it is wrong.
    :raises PluginFailed: the importer returned something that cannot be recorded.
    """
    with border.Calling(importer):
        arguments = importer.check(ctx, image, method)
    if not border.is_json_object(arguments):
        raise border.wrong(importer, 'returned no JSON object from check')
    return arguments


def submit(layers: Layers, task: Task) -> None:
    """Have a task run soon; its record is enough to have it run later."""
    try:
        with border.Calling(layers.executor):
            layers.executor.submit(task)
    except Exception:
        LOG.exception('task %s was not submitted; it runs later', task.id)


def lacks_token(layers: Layers, importer: contract.Importer) -> bool:
    """Return whether the import would run where the token of its caller is not known."""
    return importer.NEEDS_TOKEN and layers.executor.RUNS_ELSEWHERE


def _check_work_dir(path: str) -> None:
    """
    :raises Unavailable: steps cannot have files in this directory, which they make if need be.
    """
    folder = path
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not (os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)):
        raise contract.Unavailable(f'[task] work_dir = {path}: {folder} is no directory in which '
                                   'files can be written')


def _hashable(name: object) -> Any:
    return name if isinstance(name, str) else repr(name)


def _works(plugin: contract.Plugin) -> bool:
    try:
        with border.Calling(plugin):
            plugin.health()
    except Exception as error:
        LOG.warning('%s is not offered: %s', plugin.name, error)
        return False
    return True


def _check_status(importer: contract.Importer, image: Image) -> None:
    if image.status != importer.STARTS_FROM:
        raise contract.Conflict(f"Image {image.id} has the status '{image.status}'; "
                                f'{importer.name} requires the status {importer.STARTS_FROM}.')


def shown_arguments(importer: contract.Importer,
                    arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what users may see of the arguments of an import."""
    return {name: value for name, value in arguments.items() if name not in importer.SECRETS}


def check_length(given: Mapping[str, Any], most: int) -> None:
    """
    :raises Invalid: what a task is to record has more than ``most`` bytes in JSON.
    """
    size = len(json.dumps(given, default=dict))
    if size > most:
        raise contract.Invalid(f'The request is too long: {size} bytes as JSON, and {most} are '
                               'allowed.')


def _shown(request: ImportRequest, stores: Sequence[str],
           arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the request as the task shows it; ``arguments`` replace the given ones."""
    return {'method': {'name': request.name, **arguments},
            **({'stores': list(stores)} if request.stores is not None else {}),
            **{name: value for name in ('all_stores', 'all_stores_must_succeed')
               if (value := getattr(request, name)) is not None}}
