"""Whether a plugin conforms to the contract of its layer, as far as loading it can show."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg

from glancelite import contract
from glancelite.contract import Plugin


def violation(layer: str, kind: Any) -> str:
    """How the class ``kind`` violates the contract of ``layer``; '' if it does not."""
    base = contract.LAYERS[layer]
    if not (isinstance(kind, type) and issubclass(kind, base)):
        return f'is not a subclass of glancelite.contract.{base.__name__}'
    if kind.CONTRACT != contract.CONTRACT:
        return (f'was written for version {kind.CONTRACT!r} of the contract; '
                f'this service uses version {contract.CONTRACT}')
    return next(itertools.chain(_capabilities(base, kind), _options(kind), _schemes(kind),
                                _missing(base, kind), _signatures(base, kind)), '')


def fault(plugin: Plugin, name: str) -> str:
    """What is wrong with an instance that was built under this name; '' if nothing is."""
    if not all(hasattr(plugin, attribute) for attribute in ('options', 'host', 'name', 'conf')):
        return '__init__ does not call super().__init__(options, host, **named)'
    if plugin.name != name:
        return ('__init__ does not pass its keyword arguments to '
                'super().__init__(options, host, **named)')
    added = plugin.CAPABILITIES - type(plugin).CAPABILITIES
    if added:
        return f'__init__ adds capabilities that its class lacks: {", ".join(sorted(added))}'
    if isinstance(plugin, contract.Database):
        return next(_records(plugin), '')
    return ''


def _capabilities(base: type[Plugin], kind: type[Plugin]) -> Iterator[str]:
    declared = kind.CAPABILITIES
    if not isinstance(declared, (set, frozenset)):
        yield f'declares CAPABILITIES of type {type(declared).__name__}, not a frozenset of words'
    elif unknown := declared - base.CAPABILITIES:
        known = ', '.join(sorted(base.CAPABILITIES)) or 'none in this layer'
        yield (f'declares unknown capabilities: {", ".join(sorted(map(str, unknown)))}; '
               f'there are: {known}')


def _options(kind: type[Plugin]) -> Iterator[str]:
    for name, test, needed in (
            ('OPTS', lambda item: isinstance(item, cfg.Opt), 'options of oslo.config'),
            ('LIBRARY_OPTS', callable, 'functions of a ConfigOpts')):
        listed = getattr(kind, name)
        if not isinstance(listed, (list, tuple)):
            yield f'declares {name} of type {type(listed).__name__}, not a tuple of {needed}'
        elif not all(map(test, listed)):
            yield f'declares {name} that are not {needed}'


def _schemes(kind: type[Plugin]) -> Iterator[str]:
    if not issubclass(kind, contract.Store):
        return
    for name in 'SCHEMES', 'PUBLIC_SCHEMES':
        listed = getattr(kind, name)
        if not isinstance(listed, (list, tuple)) or not all(
                isinstance(scheme, str) for scheme in listed):
            yield f'declares {name} that are not a tuple of texts'
    if not set(kind.PUBLIC_SCHEMES) <= set(kind.SCHEMES):
        yield 'declares PUBLIC_SCHEMES that are not among its SCHEMES'


def _missing(base: type[Plugin], kind: type[Plugin]) -> Iterator[str]:
    missing = {method for capability in kind.CAPABILITIES
               for method in base.REQUIRED_METHODS.get(capability, ())
               if getattr(kind, method) is getattr(base, method)}
    if inspect.isabstract(kind):
        missing |= kind.__abstractmethods__
    if missing:
        yield f'lacks {", ".join(sorted(missing))}'


def _records(database: contract.Database) -> Iterator[str]:
    """The records are classes of their own, with methods that the contract lists."""
    for name, base in (('images', contract.ImageRecords), ('members', contract.MemberRecords),
                       ('tasks', contract.TaskRecords),
                       ('metadefs', contract.MetadefRecords)):
        records = getattr(database, name)
        if not isinstance(records, base):
            yield f'{name} is not an instance of glancelite.contract.{base.__name__}'
        else:
            for problem in _signatures(base, type(records)):
                yield f'{name}: {problem}'


@functools.cache
def _signatures(base: type, kind: type) -> tuple[str, ...]:
    """The overridden methods that cannot be called as the contract calls them."""
    found: list[str] = []
    for name in dir(base):
        expected = inspect.getattr_static(base, name)
        if (name == '__init__' or not name.startswith('_')) and (
                inspect.isfunction(expected) or isinstance(expected, classmethod)):
            own = inspect.getattr_static(kind, name)
            if own is not expected:
                found += _uncallable(base, kind, name, expected, own)
    return tuple(found)


def _uncallable(base: type, kind: type, name: str, expected: Any, own: Any) -> Iterator[str]:
    method: Any = getattr(kind, name)
    if not callable(method):
        yield f'has {name}, which is not a method'
        return
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        yield f'has {name}, which is a coroutine function; the contract has no coroutines'
        return
    if isinstance(expected, classmethod) and inspect.isfunction(own):
        yield f'has {name}, which is not a class method'
        return
    contracted = inspect.signature(getattr(base, name))
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):     # compiled code may have none
        return
    bound = [] if isinstance(own, (classmethod, staticmethod)) else [None]
    if inspect.isfunction(expected):
        contracted = contracted.replace(parameters=list(contracted.parameters.values())[1:])
    for arguments, keywords in _calls(contracted, least=name != '__init__'):
        try:
            signature.bind(*bound, *arguments, **keywords)
        except TypeError as error:
            yield (f'has {name}{_plain(signature)}, which cannot be called as '
                   f'{name}{_plain(contracted)}: {error}')
            return


def _calls(signature: inspect.Signature, *, least: bool) -> Iterator[
        tuple[list[None], dict[str, None]]]:
    """Arguments of a call with all parameters and, if ``least``, of one with the required ones."""
    for required_only in (False, True) if least else (False,):
        used = [parameter for parameter in signature.parameters.values()
                if parameter.default is parameter.empty or not required_only]
        keywords = [each.name for each in used if each.kind is each.KEYWORD_ONLY]
        yield [None] * (len(used) - len(keywords)), dict.fromkeys(keywords)


def _plain(signature: inspect.Signature) -> str:
    """The signature without annotations."""
    return str(signature.replace(return_annotation=signature.empty, parameters=[
        parameter.replace(annotation=parameter.empty)
        for parameter in signature.parameters.values()]))
