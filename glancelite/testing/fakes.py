"""Stand-ins for the service and its callers, for tests of plugins."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import json
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from glancelite import contract
from glancelite.contract.plugin import PluginT


class FakeHost:
    """A ``Host`` with a clock that the test sets.

    :param usage: returns the usage of a project; no usage if None.
    :param conf: the configuration with the options of credential plugins; empty if None.
    """

    def __init__(self, usage: Callable[[str], contract.Usage] | None = None,
                 conf: Any = None):
        self.node = 'test-node'
        self.looks_only = False
        self.conf = conf
        self._loaded: list[contract.Plugin] = []
        self.clock = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
        self.key_manager = FakeKeyManager()
        self._usage = usage

    def now(self) -> datetime.datetime:
        return self.clock

    def advance(self, **duration: float) -> None:
        """Move the clock on, e.g. ``seconds=30``."""
        self.clock += datetime.timedelta(**duration)

    def usage(self, project: str) -> contract.Usage:
        return self._usage(project) if self._usage else contract.Usage()

    def chosen(self, layer: type[PluginT]) -> PluginT:
        assert layer is contract.KeyManager
        return cast(PluginT, self.key_manager)

    def load(self, layer: type[PluginT], name: str, section: str,
             options: Mapping[str, object] = contract.EMPTY) -> PluginT:
        from oslo_config import cfg

        from glancelite import loader
        if self.conf is None:
            self.conf = cfg.ConfigOpts()
            self.conf([], project='glancelite', default_config_files=[],
                       default_config_dirs=[])
        plugin = loader.load(self.conf, self, layer.LAYER, name, section=section, given=options)
        self._loaded.append(plugin)
        return cast(PluginT, plugin)

    def close(self) -> None:
        """Close the plugins that ``load`` returned."""
        while self._loaded:
            self._loaded.pop().close()


class FakeKeyManager(contract.KeyManager):
    """Keeps ``certificates`` (id -> DER) and ``keys`` in memory, and records its callers."""

    def __init__(self, options: Any = None, host: Any = None, **named: Any):
        super().__init__(options, host, **named)
        self.certificates: dict[str, bytes] = {}
        self.keys: set[str] = set()
        self.callers: list[contract.Context] = []

    def certificate(self, ctx, certificate_id):
        self.callers.append(ctx)
        if certificate_id not in self.certificates:
            raise contract.NotFound('There is no such certificate.')
        return self.certificates[certificate_id]

    def delete(self, ctx, key_id):
        self.callers.append(ctx)
        if key_id not in self.keys:
            raise contract.NotFound('There is no such key.')
        self.keys.remove(key_id)


class Recorder(contract.Notifier):
    """Records the events that it is notified of."""

    def __init__(self, options: Any = None, host: Any = None, **named: Any):
        super().__init__(options, host, **named)
        self.events: list[contract.Event] = []

    def notify(self, event: contract.Event) -> None:
        self.events.append(event)

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]


class DenyAll(contract.PolicyEngine):
    """Refuses every action, and records it."""

    def __init__(self, options: Any = None, host: Any = None, **named: Any):
        super().__init__(options, host, **named)
        self.asked: list[str] = []

    def enforce(self, ctx, action, target=None, *, member=None):
        self.asked.append(action)
        raise contract.Forbidden(f'{action} is refused to everybody')


class ClientWentAway(ConnectionError):
    """Raised by a broken source."""


def broken_source(*chunks: bytes) -> Iterator[bytes]:
    """Yield ``chunks``, then raise ``ClientWentAway``."""
    yield from chunks
    raise ClientWentAway('the client went away')


def slow_source(*chunks: bytes, pause: float = 0.05) -> Iterator[bytes]:
    """Yield ``chunks`` with a pause (seconds) before each."""
    for chunk in chunks:
        time.sleep(pause)
        yield chunk


class Data(bytes):
    """Data whose representation is short: pytest takes minutes to show how long data differs."""

    def __repr__(self) -> str:
        return f'<{len(self)} bytes, sha256 {hashlib.sha256(self).hexdigest()[:16]}>'


class FakeJob:
    """A ``Job`` whose staged data is in memory, in parts as the service has them.

    ``parts`` are durable: build another job with the same ``parts`` and ``memory`` for a
    process that continues the work.  Set ``ended`` to make the next call raise ``Gone``.

    :param folder: where ``local_file`` and ``new_file`` have their files.
    :param part_size: bytes of a part; more than one chunk may be needed for one.
    :param size_limit: bytes that the image may have; None for no limit.
    """

    def __init__(self, folder: pathlib.Path, data: bytes = b'', *,
                 image: contract.Image | None = None, ctx: contract.Context | None = None,
                 arguments: Mapping[str, Any] = contract.EMPTY, part_size: int = 1 << 16,
                 size_limit: int | None = None, parts: list[bytes] | None = None,
                 memory: dict[str, Any] | None = None):
        self.image = image or contract.Image('11111111-2222-4333-8444-555555555555',
                                             disk_format='raw', container_format='bare')
        self.ctx = ctx or contract.Context(user='user', project='project',
                                           roles=frozenset({'member'}))
        self.arguments = arguments
        self.memory: dict[str, Any] = {} if memory is None else memory
        self.parts = parts if parts is not None else [data] if data else []
        self.size_limit = size_limit
        self.ended = False
        #: the ``(done, total)`` that were reported
        self.reports: list[tuple[int, int | None]] = []
        self._folder = folder
        self._part_size = part_size

    @property
    def data(self) -> Data:
        """All staged data."""
        return Data(b''.join(self.parts))

    @property
    def staged_size(self) -> int:
        return sum(map(len, self.parts))

    def remember(self, **values: object) -> None:
        self.check()
        self.memory.update(json.loads(json.dumps(values)))

    def append(self, chunks: Iterable[bytes], *, total: int | None = None) -> None:
        self._write(self.parts, chunks, total)

    def _write(self, parts: list[bytes], chunks: Iterable[bytes],
               total: int | None = None) -> None:
        part = b''
        for chunk in chunks:
            self.check()
            assert chunk, 'chunks are not empty'
            part += bytes(chunk)
            done = sum(map(len, parts)) + len(part)
            if self.size_limit is not None and done > self.size_limit:
                raise contract.QuotaExceeded(
                    f'The image is larger than the {self.size_limit} bytes allowed.')
            self.report(done, total)
            if len(part) >= self._part_size:
                parts.append(part)
                part = b''
        if part:
            parts.append(part)

    def restart(self) -> None:
        self.check()
        self.parts.clear()

    def read(self) -> Iterator[bytes]:
        self.check()
        return (part for part in list(self.parts))

    def replace(self, chunks: Iterable[bytes], **changes: Any) -> None:
        parts: list[bytes] = []
        self._write(parts, chunks)
        self.parts[:] = parts
        if changes:
            self._change(changes)

    def replace_by_file(self, path: str, **changes: Any) -> None:
        with open(path, 'rb') as file:
            self.replace(iter(lambda: file.read(1 << 20), b''), **changes)

    @contextlib.contextmanager
    def local_file(self) -> Iterator[str]:
        with self.new_file() as path:
            pathlib.Path(path).write_bytes(self.data)
            yield path

    @contextlib.contextmanager
    def new_file(self) -> Iterator[str]:
        self.check()
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            yield f'{folder}/file'

    def change(self, **fields: Any) -> None:
        self.check()
        self._change(fields)

    def _change(self, fields: dict[str, Any]) -> None:
        unknown = fields.keys() - {'disk_format', 'container_format', 'virtual_size', 'min_disk',
                                   'min_ram', 'properties'}
        assert not unknown, unknown
        properties = {**self.image.properties, **fields.pop('properties', {})}
        self.image = dataclasses.replace(self.image, **fields, properties=properties)

    def report(self, done: int, total: int | None = None) -> None:
        self.reports.append((done, total))

    def check(self) -> None:
        if self.ended:
            raise contract.Gone('The work is to end.')


class FakeWork:
    """A ``Work`` whose tasks are in memory; each is done when ``action`` returns.

    :param action: called with each claimed task; by default nothing happens.
    """

    def __init__(self, action: Callable[[contract.Task], object] = lambda task: None):
        self.action = action
        #: set to an error, it is raised by ``waiting``
        self.failure: BaseException | None = None
        #: ids of the tasks that were run, in the order of their ends
        self.done: list[str] = []
        self._waiting: dict[str, contract.Task] = {}
        self._changed = threading.Condition()

    def add(self, task_id: str, **fields: Any) -> contract.Task:
        """Add a task that waits."""
        task = contract.Task(task_id, 'import', **fields)
        with self._changed:
            self._waiting[task_id] = task
        return task

    def run(self, task_id: str | None = None) -> bool:
        with self._changed:
            task = self._waiting.pop(task_id or next(iter(self._waiting), ''), None)
        if task is None:
            return False
        try:
            self.action(task)
        finally:
            with self._changed:
                self.done.append(task.id)
                self._changed.notify_all()
        return True

    def waiting(self) -> tuple[contract.Task, ...]:
        if self.failure is not None:
            raise self.failure
        with self._changed:
            return tuple(self._waiting.values())

    def wait(self, count: int = 1, seconds: float = 30) -> list[str]:
        """Return the ids of the tasks that were run, sorted, when there are ``count``."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.done) >= count, seconds)
            return sorted(self.done)
