"""The border to the plugins: what they raise and return is checked before it is used.

A plugin of another package may raise anything, even ``SystemExit``, and return anything.
"""

from __future__ import annotations

import json
import logging
import operator
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from glancelite import contract
from glancelite.contract import Context, Location, Plugin, WriteResult
from glancelite.contract.inspector import FACTS

T = TypeVar('T')

LOG = logging.getLogger(__name__)

_TEXTS = ('user', 'project', 'user_name', 'project_name', 'user_domain', 'project_domain',
          'system_scope', 'domain', 'token')
_texts_of = operator.attrgetter(*_TEXTS)
_TEXT: frozenset[type] = frozenset({str})
_TEXT_OR_NONE: frozenset[type] = frozenset({str, type(None)})


class PluginFailed(Exception):
    """A plugin raised what is no error of the contract, or returned what it must not.

    This is a defect of the plugin, which the text names: users see an internal error.
    """


def passes(error: BaseException) -> bool:
    """Return whether ``error`` may leave a plugin.

    A ``KeyboardInterrupt`` of the main thread comes from a terminal, not from a plugin.
    """
    return isinstance(error, contract.Error) or (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread())


def check_error(plugin: Plugin, error: BaseException) -> None:
    """Called with what a plugin has raised.  A handler costs less than `Calling`.

    :raises PluginFailed: this may not leave a plugin.
    """
    if not passes(error):
        raise wrong(plugin, f'raised {_one_line(error)}') from error


class Calling:
    """Surrounds a call of a plugin: only errors of the contract leave the block.

    :raises PluginFailed: the plugin raised something else.
    """

    __slots__ = ('_plugin',)

    def __init__(self, plugin: Plugin):
        self._plugin = plugin

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if error is not None:
            check_error(self._plugin, error)


class CallingStore(Calling):
    """Surrounds a call of a driver.

    :raises Unavailable: the driver raised what is no error of the contract.  So other
        locations are read, and deletions are left to the recovery.
    """

    __slots__ = ()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if error is not None and not passes(error):
            raise unusable_after(self._plugin, error) from error


class Source(Iterator[bytes]):
    """Chunks for a plugin or a writer; remembers how they ended.

    :ivar failure: what the chunks have raised.  It is raised again if the driver goes on.
    :ivar ended: True after the last chunk.
    """

    def __init__(self, chunks: Iterator[bytes]):
        self._chunks = chunks
        self.failure: BaseException | None = None
        self.ended = False

    def __next__(self) -> bytes:
        if self.failure is not None:
            raise self.failure
        try:
            return next(self._chunks)
        except StopIteration:
            self.ended = True
            raise
        except BaseException as error:
            self.failure = error
            raise


class Chunks(Iterator[bytes]):
    """The chunks of a driver; what ends a process otherwise becomes ``Unavailable``."""

    def __init__(self, driver: Plugin, chunks: Iterator[bytes]):
        self._driver = driver
        self._chunks = chunks

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except Exception:       # breaks off this download only
            raise
        except BaseException as error:
            if passes(error):
                raise
            raise unusable_after(self._driver, error) from error

    def close(self) -> None:
        with CallingStore(self._driver):
            contract.store.close_chunks(self._chunks)


def wrong(plugin: Plugin, what: str) -> PluginFailed:
    """Return the error for a plugin that did ``what``."""
    return PluginFailed(f'the {plugin.LAYER} plugin {plugin.name} {what}')


def unusable(driver: Plugin) -> contract.Unavailable:
    """Return the error for users whose store did what it must not."""
    return contract.Unavailable(f'The store {driver.name} cannot be used now.')


def unusable_after(driver: Plugin, error: BaseException) -> contract.Unavailable:
    """Log what a driver raised; return the error for users."""
    LOG.error('the driver of the store %s raised %s', driver.name, _one_line(error),
              exc_info=error)
    return unusable(driver)


def wrong_answer(driver: Plugin, method: str, answer: object) -> contract.Unavailable:
    """Log what a method of a driver returned; return the error for users."""
    LOG.error('the driver of the store %s returned %.200r from %s, which the contract does not '
              'allow', driver.name, answer, method)
    return unusable(driver)


def check_write(driver: contract.Store, result: Any) -> WriteResult:
    """
    :raises Unavailable: this is no result of a ``write``.
    """
    if not (isinstance(result, WriteResult) and is_url(result.url) and is_size(result.size)
            and driver.owns(result.url) and is_json_object(result.metadata)):
        raise wrong_answer(driver, 'write', result)
    return result


def check_chunks(driver: contract.Store, chunks: Any) -> Iterator[bytes]:
    """Return the chunks that ``read`` has returned, such that they only raise exceptions.

    :raises Unavailable: this is no iterator.
    """
    if isinstance(chunks, contract.FileExtent):
        return chunks
    if isinstance(chunks, (str, bytes)) or not hasattr(chunks, '__next__'):
        raise wrong_answer(driver, 'read', chunks)
    return Chunks(driver, chunks)


def check_context(plugin: Plugin, ctx: Any) -> Context:
    """
    :raises PluginFailed: this is no caller.
    """
    if not isinstance(ctx, Context):
        raise wrong(plugin, f'returned a {type(ctx).__name__} and no Context')
    if not _TEXT_OR_NONE.issuperset(map(type, _texts_of(ctx))):     # nearly always it is one
        for name, value in zip(_TEXTS, _texts_of(ctx), strict=True):
            if value is not None and not isinstance(value, str):
                raise wrong(plugin, f'returned a Context whose {name} is a '
                                    f'{type(value).__name__} and no text')
    for name, roles in (('roles', ctx.roles), ('service_roles', ctx.service_roles)):
        if not isinstance(roles, (frozenset, set, list, tuple)) or (
                not _TEXT.issuperset(map(type, roles))):
            raise wrong(plugin, f'returned a Context whose {name} are no set of texts')
    if not isinstance(ctx.read_only, bool):
        raise wrong(plugin, 'returned a Context whose read_only is not True or False')
    return ctx


def check_filtered(plugin: Plugin, answer: Any, targets: Sequence[T]) -> Sequence[T]:
    """
    :raises PluginFailed: a policy returned something else than some of ``targets``.
    """
    if answer is targets:
        return targets
    if isinstance(answer, Sequence):
        # nearly always these are all of them, and comparing them is fast
        if len(answer) == len(targets) and all(map(operator.is_, answer, targets)):
            return answer
        if set(map(id, answer)) <= set(map(id, targets)):
            return answer
    raise wrong(plugin, 'returned something else from filter than some of its arguments')


def check_limit(plugin: Plugin, limit: Any) -> int | None:
    """
    :raises PluginFailed: a quota returned no number of bytes, nor None.
    """
    if limit is not None and not is_size(limit):
        raise wrong(plugin, f'returned {limit!r:.80} from check; it must be a number of bytes '
                            'or None')
    return limit


def check_facts(plugin: Plugin, facts: Any) -> Mapping[str, object]:
    """
    :raises PluginFailed: an inspector returned what it may not set.
    """
    if not isinstance(facts, Mapping):
        raise wrong(plugin, f'returned a {type(facts).__name__} and no mapping')
    for name, value in facts.items():
        if name not in FACTS:
            raise wrong(plugin, f'returned {name!r:.80}, which is not one of {", ".join(FACTS)}')
        if not is_size(value) or value > FACTS[name]:
            raise wrong(plugin, f'returned {value!r:.80} as {name}; it must be a number from 0 '
                                f'to {FACTS[name]}')
    return facts


def check_order(plugin: Plugin, answer: Any, locations: Sequence[Location]) -> Sequence[Location]:
    """
    :raises PluginFailed: a strategy returned something else than the locations.
    """
    if not isinstance(answer, Sequence) or (
            sorted(map(id, answer)) != sorted(map(id, locations))):
        raise wrong(plugin, 'returned something else from order than the locations')
    return answer


def is_url(text: Any) -> bool:
    """Return whether this can be recorded as the URL of a location."""
    return isinstance(text, str) and text.isprintable() and '://' in text


def is_size(number: Any) -> bool:
    """Return whether this is a number of bytes."""
    return type(number) is int and number >= 0


def is_json_object(value: Any) -> bool:
    """Return whether this is a mapping that every reader of JSON understands."""
    try:
        json.dumps(dict(value), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):     # UnicodeError is a ValueError
        return False
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _one_line(error: BaseException) -> str:
    return ' '.join(f'{type(error).__name__}: {error}'.split())
