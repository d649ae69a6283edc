"""One import on its way from the request to the stores, as importers and steps see it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

from glancelite import contract
from glancelite.contract import Context, Image
from glancelite.domain import imports, job_changes
from glancelite.services import optimistic
from glancelite.services.import_result import Result, extent
from glancelite.services.layers import Layers
from glancelite.services.staged_hashes import StagedHashes
from glancelite.services.staging import Staged, nonempty, sized
from glancelite.services.stream import Limit
from glancelite.services.work import CANCELLED, LOST, Claim, Ended
from glancelite.services.work_files import WorkFiles

#: seconds between two records of progress
PROGRESS_INTERVAL = 2.0
#: bytes of staged data that count as progress: a web server may send one byte at a time
PROGRESS = 1 << 20


class ImportJob:
    """Implements ``contract.Job`` for one claim of a task.

    :ivar image: the image as this job wrote it last.
    :ivar journal: what the task records for the next process.
    """

    def __init__(self, layers: Layers, claim: Claim, image: Image, *,
                 files: WorkFiles, hashes: StagedHashes | None = None):
        self._layers = layers
        self._area = layers.staging
        self._files = files
        self._hashes = hashes
        self._lock = threading.RLock()
        self.claim = claim
        self.image = image
        self.journal: dict[str, Any] = dict(claim.task.journal)
        self.staged = Staged.from_json(self.journal.get('staged'))
        self._phase = ''
        self._progress = _Progress()
        self._result: Result | None = None

    def close(self) -> None:
        """Remove what is not durable."""
        if self._hashes is not None:
            self._hashes.close()
        if self._result is not None:
            self._result.close()

    @property
    def task_id(self) -> str:
        return self.claim.task.id

    @property
    def ctx(self) -> Context:
        return self.claim.ctx

    @property
    def arguments(self) -> Mapping[str, Any]:
        return self.journal.get('arguments', {})

    @property
    def memory(self) -> Mapping[str, Any]:
        return self.journal.get('notes', {}).get(self._phase, {})

    def remember(self, **values: object) -> None:
        memory = self.journal.get('notes', {})
        self.record(notes={**memory, self._phase: {**memory.get(self._phase, {}), **values}})

    def record(self, **values: object) -> None:
        """Write values into the journal of the task.

        :raises Ended: the work is to end.
        """
        with self._lock:
            self.journal.update(values)
            self.claim.write(journal=dict(self.journal))

    def check(self) -> None:
        self.claim.check()

    @property
    def mark(self) -> list[int]:
        """What changes with the progress of the work."""
        return [len(self.journal.get('done', ())), self.staged.size // PROGRESS,
                len(self.image.locations)]

    def count_start(self, most: int) -> None:
        """Count the processes that have begun the work since it has made progress.

        :raises Invalid: there are more: the data may be what ends them.
        """
        starts = self.journal.get('starts', 0) + 1 if (
            self.journal.get('started') == self.mark) else 1
        if starts > most:
            raise contract.Invalid(f'The work was begun {most} times without progress; its '
                                   'processes have ended each time.')
        self.record(started=self.mark, starts=starts)

    # --- phases

    def is_done(self, phase: str) -> bool:
        """Return whether a phase is complete, here or in a process before."""
        return phase in self.journal.get('done', ())

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Run one phase of the work; it is recorded as done unless it raises.

        If its result is not durable yet, it is recorded together with the result.
        """
        self._phase = name
        self._progress = _Progress()
        self.claim.write(progress={'step': name})
        yield
        if self._result is not None:
            self._result.phases.append(name)
        else:
            self.record(done=[*self.journal.get('done', ()), name])

    def report(self, done: int, total: int | None = None) -> None:
        with self._lock:
            shown = self._progress.report(done, total)
            if shown is not None:
                self.claim.write(progress={'step': self._phase, **shown})
        self.check()

    # --- the staging area

    @property
    def staged_size(self) -> int:
        return self.staged.size if self._result is None else self._result.size

    def append(self, chunks: Iterable[bytes], *, total: int | None = None) -> None:
        source, start = _Source(nonempty(chunks)), self.staged_size
        limited = self._watched(source, start, total)
        if self._hashes is not None:
            limited = self._hashes.watch(limited, start)
        try:
            while not source.ended:
                self._write_part(limited, source)
        finally:
            contract.store.close_chunks(limited)
        if source.failure is not None:
            raise source.failure

    def _write_part(self, chunks: Iterator[bytes], source: _Source) -> None:
        """Write one part.  If the source fails, what it has yielded becomes a part."""
        first = next(chunks, None)
        if first is None:
            return
        key = f'{self.task_id}.{self.claim.task.attempt}.{len(self.staged.parts)}'
        self._record_staged(dataclasses.replace(
            self.staged, node=self._area.node, pending=key, hashes=None), node=self._area.node)
        part = self._area.write(
            key, sized(itertools.chain([first], chunks), self._area.part_size), ctx=self.ctx)
        try:
            self._record_staged(dataclasses.replace(
                self.staged, parts=(*self.staged.parts, part), pending=None))
        except Ended:       # the process that has taken over does not know of this part
            with contextlib.suppress(contract.Error):
                self._area.discard(Staged(pending=key))
            raise

    def finish_fetch(self) -> None:
        """Keep the hashes of the staged data with the record of this phase, if they are known."""
        found = self._hashes.finish(self.staged.size) if self._hashes is not None else None
        if found is not None:
            self.staged = dataclasses.replace(self.staged, hashes=found)
            self.journal['staged'] = self.staged.to_json()

    @property
    def hashes(self) -> Mapping[str, Any] | None:
        """The facts about the staged data that ``stream.Digests`` has found, if any."""
        return self.staged.hashes if self._result is None else None

    def _record_staged(self, staged: Staged, node: str | None = None) -> None:
        with self._lock:
            self.journal['staged'] = staged.to_json()
            self.claim.write(journal=dict(self.journal), **(
                {'node': node} if node != self.claim.task.node and node else {}))
            self.staged = staged

    def _watched(self, chunks: Iterator[bytes], done: int,
                 total: int | None) -> Iterator[bytes]:
        """Count and limit chunks, and end with the job."""
        limit = self.size_limit
        limiter = Limit(limit, contract.QuotaExceeded) if limit is not None else None
        if limiter is not None and done:
            limiter.skip(done)
        for chunk in chunks:
            self.check()
            done += len(chunk)
            if limiter is not None:
                limiter.feed(chunk)
            yield chunk
            self.report(done, total)

    def recover_staged(self) -> None:
        """Discard what a process left that has died while it wrote to the staging area."""
        if self.staged.pending is not None:
            pending = Staged(node=self.staged.node, pending=self.staged.pending)
            self.staged = dataclasses.replace(self.staged, pending=None)
            self.record(staged=self.staged.to_json(), leftovers=[
                *self.journal.get('leftovers', ()), pending.to_json()])
        if self.journal.get('leftovers'):
            self._discard_leftovers()

    def restart(self) -> None:
        self.check()
        self._drop_result()
        old, self.staged = self.staged, Staged()
        self.record(staged=self.staged.to_json(), leftovers=[
            *self.journal.get('leftovers', ()), old.to_json()])
        self._discard_leftovers()

    def read(self) -> Iterator[bytes]:
        self.check()
        return self._area.read(self.staged) if self._result is None else self._result.open()

    def read_views(self) -> Iterator[bytes]:
        """Return the staged data; the chunks may be views of memory."""
        self.check()
        if self._result is None:
            return self._area.read(self.staged, views=True)
        return self._result_views(self._result)

    def _result_views(self, result: Result) -> Generator[bytes, None, None]:
        with contextlib.closing(result.open()) as data:
            try:
                yield from self._area.views(data)
            except OSError as error:
                raise contract.Unavailable('The result of a step cannot be read.') from error

    def replace(self, chunks: Iterable[bytes], **changes: Any) -> None:
        job_changes.check(changes)
        attempt = self.journal.get('replaced', 0) + 1
        key = f'{self.task_id}.{self.claim.task.attempt}.r{attempt}'
        new = Staged(node=self._area.node, pending=key)
        leftovers = self.journal.get('leftovers', [])
        self.record(replaced=attempt, leftovers=[*leftovers, new.to_json()])
        views = nonempty(self._area.views(chunks))
        part = self._area.write(key, self._watched(views, 0, None), ctx=self.ctx)
        with self._lock:
            before, phases = self._drop_result()
            self.journal.update(
                leftovers=[*leftovers, self.staged.to_json()],
                changes=job_changes.merged(before, changes),
                done=[*self.journal.get('done', ()), *phases])
            self._record_staged(Staged((part,), self._area.node), node=self._area.node)
        self.finish_replacement()

    def finish_replacement(self) -> None:
        """Change the image as its staged data, which was replaced, requires."""
        changes = self.journal.get('changes')
        if changes:
            self.change(**changes)
            self.journal['changes'] = {}
        if changes or self.journal.get('leftovers'):
            self._discard_leftovers()

    def replace_by_file(self, path: str, **changes: Any) -> None:
        job_changes.check(changes)
        if len(self.journal['stores']) > 1:     # their data must not differ, so it stays
            with contextlib.closing(extent(path)) as data:
                self.replace(data, **changes)
            return
        limit = self.size_limit
        with contextlib.ExitStack() as stack:
            kept = stack.enter_context(self.new_file())
            try:
                os.rename(path, kept)
            except OSError as error:
                raise contract.Unavailable(
                    f'The working directory cannot be used: {error.strerror}') from error
            if limit is not None:
                Limit(limit, contract.QuotaExceeded).skip(os.path.getsize(kept))
            before, phases = self._drop_result()
            self._result = Result(kept, job_changes.merged(before, changes), phases,
                                  stack.pop_all())
        self.image = self._with_result(self.image)

    def settle(self) -> None:
        """Make the staged data durable.

        :raises Unavailable: the staging area does not answer.
        """
        if self._result is not None:
            with contextlib.closing(self._result_views(self._result)) as data:
                self.replace(data)

    def stored(self) -> None:
        """Note that the stores have the data."""
        _, phases = self._drop_result()
        self.journal['done'] = [*self.journal.get('done', ()), *phases]

    def _drop_result(self) -> tuple[dict[str, Any], list[str]]:
        """Return the changes and the phases of the result that was not durable, if any."""
        result, self._result = self._result, None
        if result is None:
            return {}, []
        result.close()
        return result.changes, result.phases

    def changes_with_data(self, image: Image) -> dict[str, Any]:
        """Return what changes in the image when a store gets the data."""
        return {} if self._result is None else job_changes.fields(image, self._result.changes)

    def _with_result(self, image: Image) -> Image:
        return dataclasses.replace(image, **self.changes_with_data(image))

    def _discard_leftovers(self) -> None:
        """Discard staged data that is not used any more."""
        for each in self.journal.get('leftovers', ()):
            self._area.discard(Staged.from_json(each))
        self.record(leftovers=[])

    def discard_staged(self) -> None:
        """Discard all staged data, when the work has ended."""
        for each in (self.staged.to_json(), *self.journal.get('leftovers', ())):
            self._area.discard(Staged.from_json(each))

    @contextlib.contextmanager
    def local_file(self) -> Iterator[str]:
        path = self._area.path(self.staged) if self._result is None else self._result.path
        if path is not None:
            yield path
            return
        with self.new_file() as copy:
            try:
                with open(copy, 'wb') as file:
                    for chunk in self.read():
                        self.check()
                        file.write(chunk)
            except OSError as error:
                raise contract.Unavailable(
                    f'There is no space for a working copy: {error.strerror}') from error
            yield copy

    @contextlib.contextmanager
    def new_file(self) -> Iterator[str]:
        self.check()
        with contextlib.ExitStack() as stack:
            try:
                folder = stack.enter_context(self._files.folder(self.task_id))
            except OSError as error:
                raise contract.Unavailable(
                    f'The working directory cannot be used: {error.strerror}') from error
            yield os.path.join(folder, 'data')

    @property
    def size_limit(self) -> int | None:
        image = self.image
        # what the database counts for this image already is not used twice
        counted = image.size if image.status == 'importing' and not image.locations else None
        return self._layers.quota.check(self.ctx, contract.QuotaRequest(
            'import_image', image.owner, bytes=counted, image=image))

    # --- the image

    def change(self, **fields: Any) -> None:
        job_changes.check(fields)
        if self._result is None:
            self.write_image(lambda image: job_changes.fields(image, fields))
        else:
            self._result.changes = job_changes.merged(self._result.changes, fields)
            self.image = self._with_result(self.image)

    def write_image(self, change: Callable[[Image], Mapping[str, object] | None]) -> Image:
        """Write to the image while it is locked by this claim.

        :param change: called with the present image; None if there is nothing to write.
        :raises Ended: the image was deleted, or another process has taken the work over.
        """
        with self._lock:
            owner = self.image

            def guarded(present: Image) -> Mapping[str, object] | None:
                self._check_owner(present, owner)
                changes = change(present)
                if changes is None:
                    self.image = self._with_result(present)
                return changes

            def write() -> Image | None:
                return optimistic.change(self._layers.database.images, owner.id, guarded,
                                         tries=None)

            try:
                written = self.claim.patiently(write)
            except contract.NotFound:
                self.claim.ending = CANCELLED
                raise Ended('The image was deleted.', CANCELLED) from None
            if written is not None:
                self.image = self._with_result(written)
                self._layers.events.image(self.ctx, 'image.update', written)
            return self.image

    def _check_owner(self, present: Image, owner: Image) -> None:
        if imports.lock_of(present.properties) != self.task_id or (
                present.attempt != owner.attempt):
            self.claim.ending = LOST
            self.claim.check()


class _Source(Iterator[bytes]):
    """Chunks that end at an error, which is kept."""

    def __init__(self, chunks: Iterator[bytes]):
        self._chunks = chunks
        self.ended = False
        self.failure: BaseException | None = None

    def __next__(self) -> bytes:
        if self.ended:
            raise StopIteration
        try:
            return next(self._chunks)
        except StopIteration:
            self.ended = True
            raise
        except Exception as error:
            self.ended = True
            self.failure = error
            raise StopIteration from error


class _Progress:
    """Decides when progress is recorded, and computes the rate."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._first: int | None = None

    def report(self, done: int, total: int | None) -> Mapping[str, int] | None:
        """Return what to record now; None if it is too early."""
        now = time.monotonic()
        if self._first is None:
            self._first = done
        if now - self._last < PROGRESS_INTERVAL:
            return None
        self._last = now
        return {'bytes': done, **({'total': total} if total is not None else {}),
                'rate': int((done - self._first) / max(now - self._start, 0.001))}
