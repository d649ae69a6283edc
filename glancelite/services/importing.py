"""Runs imports: fetch the data, change it, store it, activate the image.

The record of the image is the truth about the stores: a location and the list of the stores
that still miss the data change in one write, which requires the lock of the task and the number
of this attempt.  The journal of the task is the truth about the staging area.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import logging
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence

from glancelite import contract
from glancelite.contract import Image, Location, QuotaRequest
from glancelite.domain import digests, imports, status
from glancelite.services import border, fan_out, import_data, location_deletion, store_acls
from glancelite.services.import_job import ImportJob
from glancelite.services.import_options import ImportOptions
from glancelite.services.layers import Layers
from glancelite.services.recovery import REQUEUED, discard_leftovers, owner_context
from glancelite.services.stream import InspectedStream
from glancelite.services.work import ABANDONED, CANCELLED, FINAL, Claim, Ended, Work
from glancelite.services.work_files import WorkFiles

LOG = logging.getLogger(__name__)

#: type of the tasks
TYPE = 'api_image_import'
#: how often the process of an import may end without progress, beside the tries
MOST_STOPS = 20
_NO_HASHES = dict.fromkeys(digests.HASH_FIELDS)


class Importing:
    """Runs the tasks of imports."""

    def __init__(self, layers: Layers, work: Work, options: ImportOptions | None = None):
        self.layers = layers
        self.options = options or ImportOptions()
        self.files = WorkFiles(self.options.work_dir)
        work.register(TYPE, self.run)

    def run(self, claim: Claim) -> None:
        """Run one import until it ends, or cannot go on now."""
        image_id = str(claim.task.image_id)
        try:
            image = claim.patiently(
                lambda: self.layers.database.images.get(image_id, viewer=None))
        except contract.NotFound:
            image = Image(image_id, status='deleted')
        self.files.clean(now=claim.task.attempt > 1)
        hashes = import_data.early_hashes(self.layers, self.options)
        with contextlib.closing(ImportJob(self.layers, claim, image, files=self.files,
                                          hashes=hashes)) as job:
            self._run(job, resumes=claim.task.attempt > 1)

    def _run(self, job: ImportJob, *, resumes: bool) -> None:
        while True:
            try:
                work = _Import(self, job, resumes=resumes)
            except (KeyError, TypeError):
                LOG.exception('the journal of task %s cannot be read', job.task_id)
                job.claim.finish('failure', 'The server met an internal error.')
                return
            if not work.run():
                return
            resumes = True


class _Import:
    """One try of one import.

    :param resumes: the work has begun before.
    """

    def __init__(self, importing: Importing, job: ImportJob, *, resumes: bool):
        self._resumes = resumes
        self._again = False
        self._layers = importing.layers
        self._options = importing.options
        self._job = job
        self._claim = job.claim
        self._method = str(job.journal['method'])
        self._importer = importing.layers.importers.get(self._method)
        self._targets: Sequence[str] = job.journal['stores']
        self._all_must_succeed = bool(job.journal['all_must_succeed'])
        self._copies = bool(job.journal['copies'])
        #: stores that this attempt may have left data in, under the key of this attempt, and
        #: the URL of the data if it was written
        self._used: dict[str, str] = {}
        self._used_lock = threading.Lock()
        self._has_begun = False
        #: the formats with which the data was inspected, when it is written
        self._formats: Mapping[str, object] = {}
        self._key = job.image.key

    @property
    def _locked(self) -> bool:
        return imports.lock_of(self._job.image.properties) == self._job.task_id

    def run(self) -> bool:
        """Return whether this process tries it again, with the same claim."""
        self._run()
        return self._again

    def _run(self) -> None:
        job = self._job
        try:
            if 'outcome' in job.journal:        # a process has died after it had decided
                self._conclude()
                return
            if not self._locked:
                self._end('failure', 'The image was deleted.' if job.image.status == 'deleted'
                          else 'The image is not locked by this import any more.')
                return
            job.check()
            self._begin()
            if self._missing():     # otherwise a process has died that had stored the data
                self._fetch()
                self._change()
            self._store()
        except Ended as ended:
            if ended.reason not in FINAL:
                raise
            self._end('failure', str(ended))
        except contract.Unavailable as error:
            self._retry(error)
        except (contract.Error, contract.Misconfigured) as error:
            self._end('failure', imports.reason_for_users(error))
        except Exception:       # a defect, possibly of a plugin
            LOG.exception('the import of image %s failed', job.image.id)
            self._end('failure', 'The server met an internal error.')
        else:
            self._end('success')

    # --- the phases

    def _begin(self) -> None:
        job, resumed = self._job, self._resumes

        def change(image: Image) -> Mapping[str, object]:
            changes: dict[str, object] = {}
            if not self._copies and image.status not in self._begun_statuses:
                # from now on the lease of the task counts
                changes.update(status.transition(image, 'importing'), lease_until=None)
            if resumed:     # so that the process before cannot write any more
                changes['attempt'] = image.attempt + 1
            if not job.journal.get('begun'):
                changes['properties'] = imports.begun(image.properties, self._shown_targets)
            return changes

        self._key = job.write_image(change).key
        self._has_begun = True
        if not job.journal.get('begun'):
            job.record(begun=True)
        if resumed:
            job.count_start(MOST_STOPS + self._options.retries)
            job.recover_staged()
            job.finish_replacement()
            with contextlib.suppress(contract.Error):   # the recovery tries it again
                discard_leftovers(self._layers, job.image)

    @property
    def _begun_statuses(self) -> Collection[str]:
        """The statuses of an image that gets its data from this import."""
        # Glance does not look at the lock, so it may have made the image active before
        begun = self._job.journal.get('begun')
        return ('importing', 'active', 'deactivated') if begun else ('importing',)

    @property
    def _shown_targets(self) -> Sequence[str]:
        return self._targets if self._layers.stores.multi else ()

    def _fetch(self) -> None:
        if self._copies or self._job.is_done('fetch'):
            return
        importer = self._importer
        if importer is None:
            raise contract.Unavailable(f'The import method {self._method} is not enabled here.')
        with self._job.phase('fetch'), border.Calling(importer):
            importer.fetch(self._job)
            self._job.finish_fetch()

    def _change(self) -> None:
        if self._copies:
            return
        for step in self._layers.steps:
            name = f'step:{step.name}'
            if not self._job.is_done(name):
                with self._job.phase(name), border.Calling(step):
                    step.run(self._job)

    def _store(self) -> None:
        job = self._job
        with job.phase('store'):
            if not self._copies:
                if not self._stored(job.image):     # otherwise it has the size of what is stored
                    size = job.staged_size
                    job.write_image(lambda image: None if image.size == size else {'size': size})
                self._check_quota(job.image)
                if not job.image.locations:
                    self._layers.events.image(
                        job.ctx, 'image.prepare', job.image,
                        os_glance_importing_to_stores=list(self._shown_targets),
                        os_glance_failed_import=[])
            missing = self._missing()
            at_once = self._options.max_parallel_stores or len(missing)
            while missing:
                self._write(missing[:at_once])
                missing = missing[at_once:]
            if remaining := self._missing():
                raise contract.Unavailable(f'The stores {", ".join(remaining)} lack the data.')
            job.stored()

    def _missing(self) -> Sequence[str]:
        """Return the stores that neither have the data, nor have failed for good."""
        return imports.missing(self._targets, [*self._stored(self._job.image),
                                               *self._job.journal.get('failed', ())])

    def _stored(self, image: Image) -> Mapping[str, Location]:
        """Return the targets that have the data."""
        found = {}
        for location in image.active_locations:
            store = self._layers.stores.find(location)
            if store is not None and store.name in self._targets:
                found[store.name] = location
        return found

    def _check_quota(self, image: Image) -> None:
        # the image is recorded with this size in its locations, or in one that is to come
        count = max(len(image.active_locations), 1)
        self._layers.quota.check(self._job.ctx, QuotaRequest(
            'import_image', image.owner, bytes=(image.size or 0) * count, image=image))

    def _write(self, names: Sequence[str]) -> None:
        """Write the data into stores from one read.

        :raises Error: a store failed, and all must succeed; or a store does not answer.
        """
        job = self._job
        self._formats = import_data.formats(job.image)
        chunks = import_data.source(self._layers, job, copies=self._copies)
        stream = InspectedStream(import_data.reported(job, chunks), import_data.inspections(
            self._layers, job, self._options, copies=self._copies))
        try:
            with stream:
                failures = fan_out.write(
                    stream, {name: functools.partial(self._write_store, name, stream)
                             for name in names}, stop_at_failure=self._all_must_succeed)
        finally:
            contract.store.close_chunks(chunks)
        failures = {name: error for name, error in failures.items()
                    if not isinstance(error, fan_out.Stopped)}
        for error in failures.values():
            if isinstance(error, Ended):
                raise error
        final = {name: error for name, error in failures.items()
                 if not isinstance(error, contract.Unavailable)}
        for name, error in failures.items():
            LOG.warning('image %s cannot be written into the store %s: %s', job.image.id, name,
                        error)
        if final and self._all_must_succeed:
            raise next(iter(final.values()))
        if final:
            job.record(failed=[*job.journal.get('failed', ()), *final],
                       reasons={**job.journal.get('reasons', {}), **{
                           name: imports.reason_for_users(error)
                           for name, error in final.items()}})
            job.write_image(lambda image: {
                'properties': imports.failed(image.properties, final)})
        for error in failures.values():
            if isinstance(error, contract.Unavailable):
                raise error

    def _write_store(self, name: str, stream: InspectedStream, chunks: Iterator[bytes]) -> None:
        job, stores = self._job, self._layers.stores
        key, size = self._key, job.image.size
        with self._used_lock:
            self._used[name] = ''
        location, written = stores.write(name, key, chunks, size=size, ctx=job.ctx)
        if written != size:
            raise contract.Unavailable(f'The store {name} kept {written} of {size} bytes.')
        with self._used_lock:
            self._used[name] = location.url
        try:
            self._record(name, location, stream.facts)
        except BaseException:
            with contextlib.suppress(contract.Error):
                if import_data.is_left_behind(self._layers, job, location):
                    stores.discard(key, store=name, ctx=owner_context(job.image))
            raise
        with self._used_lock:
            del self._used[name]

    def _record(self, name: str, location: Location, facts: Mapping[str, object]) -> None:
        """Record the location of a store that has got the data."""
        def change(image: Image) -> Mapping[str, object] | None:
            if location in image.locations:
                return None     # the answer to an earlier try was lost
            changes = self._job.changes_with_data(image)
            written = import_data.formats(dataclasses.replace(image, **changes))
            if not self._copies and written != self._formats:
                raise contract.Conflict('The formats of the image were changed while its data was '
                                        'stored.')
            custom = changes.get('properties', image.properties)
            changes.update(locations=(*image.locations, location),
                           properties=imports.stored(custom, name))
            if not self._copies:
                changes.update(facts)
            if image.status == 'importing' and not self._all_must_succeed:
                changes.update(status.transition(image, 'active'))
            return changes

        image = self._job.write_image(change)
        if len(image.active_locations) > 1:
            try:
                self._check_quota(image)
            except contract.QuotaExceeded:
                self._job.write_image(lambda present: {
                    'locations': tuple(each for each in present.locations if each != location)})
                raise

    # --- the end

    def _retry(self, error: contract.Unavailable) -> None:
        """Give the claim up for a while; end the import after many tries without progress."""
        job, options = self._job, self._options
        mark = job.mark
        tries = job.journal.get('tries', 0) + 1 if job.journal.get('mark') == mark else 1
        if tries >= options.retries:
            self._end('failure', imports.reason_for_users(error))
            return
        try:
            job.settle()
        except Ended as ended:
            if ended.reason not in FINAL:
                raise
            self._end('failure', str(ended))
            return
        except contract.Error as failed:    # what is lost is done again
            LOG.info('the result of the steps is not kept: %s', failed)
        job.journal.update(mark=mark, tries=tries)
        self._pause(options.pause(tries), error)

    def _pause(self, seconds: float, error: contract.Unavailable) -> None:
        """Give the claim up for some seconds."""
        job = self._job
        LOG.warning('the import of image %s pauses for %g s: %s', job.image.id, seconds, error)
        self._again = self._needs_this_process
        self._claim.pause(seconds, error, keep=self._again, journal=dict(job.journal))

    @property
    def _needs_this_process(self) -> bool:
        """Whether no other process has the token of the caller, which is needed yet."""
        return (self._importer is not None and self._importer.NEEDS_TOKEN
                and bool(self._job.ctx.token) and not self._job.is_done('fetch'))

    def _end(self, outcome: str, reason: str = '') -> None:
        """Decide the outcome, and carry it out."""
        job = self._job
        if outcome == 'failure' and not self._all_must_succeed and self._locked and (
                self._claim.ending is None and self._stored(job.image)):
            outcome = 'success'     # at least one store has the data
            job.journal['failed'] = [*job.journal.get('failed', ()), *self._missing()]
        failed = job.journal.get('failed', [])
        reasons = job.journal.get('reasons', {})
        if outcome == 'success' and failed:
            reason = '; '.join(f'{name}: {reasons.get(name, reason)}' for name in failed)
            if not self._stored(job.image):
                outcome = 'failure'
        elif outcome == 'failure':
            job.journal['failed'] = [*failed, *self._missing()]
        # a process that died may have left data, if this one has not even begun
        used = bool(self._used) or (self._claim.task.attempt > 1 and not self._has_begun)
        job.record(outcome=outcome, message=reason, used=used)
        self._conclude()

    def _conclude(self) -> None:
        """Write the outcome to the image, then to the task."""
        job = self._job
        outcome = str(job.journal['outcome'])
        marked: list[Location] = []
        if self._locked:
            try:
                image = job.write_image(functools.partial(self._final_changes, outcome, marked))
            except Ended as ended:      # deleted; its deletion takes care of the stores
                if ended.reason != CANCELLED:
                    raise
            else:
                self._after(outcome, image, marked)
        elif outcome == 'success' and not job.journal.get('announced') and (
                job.image.status == 'active'):
            self._after(outcome, job.image, ())     # the write before was not answered
        self._clean_up()
        if self._claim.ending != ABANDONED and (outcome == 'success' or not self._keeps_staged):
            try:
                job.discard_staged()
            except contract.Unavailable as error:
                self._pause(self._options.longest_pause, error)
                return
            except contract.Error as error:
                LOG.error('staged data of image %s cannot be deleted: %s', job.image.id, error)
        self._claim.finish(outcome, str(job.journal['message']),
                           {'image_id': job.image.id} if outcome == 'success' else None)

    @property
    def _keeps_staged(self) -> bool:
        """Whether the image keeps its staged data after a failure."""
        return self._job.image.status == 'uploading'

    def _final_changes(self, outcome: str, marked: list[Location],
                       image: Image) -> Mapping[str, object]:
        failed = self._job.journal['failed'] if self._job.journal.get('failed') else []
        shown = imports.failed(image.properties, failed) if failed and (
            self._layers.stores.multi) else image.properties
        properties = imports.unlocked({**shown, imports.TO_STORES: ''})
        changes: dict[str, object] = {}
        if self._job.journal.get('used'):   # data may appear under this key later
            changes['attempt'] = image.attempt + 1
        leftovers = bool(image.attempt or 'attempt' in changes)
        if outcome == 'success':
            properties = imports.without_staged(properties)
            if image.status == 'importing':
                # later changes of the formats are not kept: the data was not inspected for them
                changes.update(status.transition(image, 'active'), **self._formats)
        else:
            marked[:] = self._stored_here(image) if self._undoes(image) else ()
            if marked:
                changes.update(location_deletion.mark(self._layers, image.locations, marked))
            is_without_data = image.status in ('importing', 'uploading')
            if is_without_data:
                changes.update({**REQUEUED, **_NO_HASHES})
            if is_without_data and self._may_repeat(image):
                changes.update(status='uploading', size=self._job.staged.size)
                if leftovers:
                    properties = imports.with_leftovers(properties)
            else:
                properties = imports.without_staged(properties)
        if leftovers or marked:
            changes['lease_until'] = self._layers.leases.until()
        elif changes.get('status') == 'uploading':
            changes['lease_until'] = self._layers.host.now() + datetime.timedelta(
                seconds=self._options.staged_time)
        return {**changes, 'properties': properties}

    def _undoes(self, image: Image) -> bool:
        """Whether the copies that were stored are deleted after a failure."""
        # users have an active image already, and it would have no data
        return self._all_must_succeed if self._copies else (
            image.status in ('importing', 'uploading', 'queued'))

    def _stored_here(self, image: Image) -> Iterator[Location]:
        """The locations that this import has added."""
        before = self._job.journal.get('locations_before', ())
        return (location for location in image.active_locations if location.url not in before)

    def _may_repeat(self, image: Image) -> bool:
        """Whether the data that was staged by the user is still as it was."""
        return (imports.is_staged(image.properties) and self._claim.ending != ABANDONED
                and not self._job.journal.get('replaced'))

    def _after(self, outcome: str, image: Image, marked: Sequence[Location]) -> None:
        layers, ctx = self._layers, self._job.ctx
        self._job.journal['announced'] = True
        if outcome == 'success':
            store_acls.share(layers, ctx, image)
            if not self._copies:
                layers.events.image(ctx, 'image.upload', image)
                layers.events.image(ctx, 'image.activate', image)
            return
        if marked:
            with contextlib.suppress(contract.Error):   # the recovery tries it again
                location_deletion.complete(layers, owner_context(image), image, marked)

    def _clean_up(self) -> None:
        """Discard what this attempt may have left in stores."""
        for name, url in sorted(self._used.items()):
            if import_data.has_url(self._job.image, url):
                continue
            try:
                self._layers.stores.discard(self._key, store=name,
                                            ctx=owner_context(self._job.image))
            except contract.Error as error:
                LOG.warning('data of image %s is left to the recovery in the store %s: %s',
                            self._job.image.id, name, error)
