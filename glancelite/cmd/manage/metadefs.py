"""``glancelite-manage db load_metadefs``, ``export_metadefs`` and ``unload_metadefs``.

The spellings of old scripts work too, such as ``db_load_metadefs /path merge``: they have words
in a fixed order instead of options.
"""

from __future__ import annotations

import contextlib
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from oslo_config import cfg

from glancelite.cmd.manage.core import add_timeout, ask, open_database
from glancelite.contract import Conflict, Invalid, Misconfigured, NotFound, Viewer
from glancelite.contract.database.metadefs import MetadefRecords
from glancelite.contract.metadef import ITEM_KINDS, Definition, Namespace, NamespaceQuery
from glancelite.services import metadef_files

#: namespaces that are listed at once
PAGE = 100
_ADMIN = Viewer(is_admin=True)
_FLAGS = {
    'merge': 'Add to namespaces that exist what they lack.',
    'prefer_new': 'With merge: also change what exists to what the files say.',
    'overwrite': 'With merge: replace namespaces that exist.'}


def add_steps(steps: Any) -> None:
    """Add the verbs below ``db``."""
    loading = _add(steps, 'load_metadefs', load, 'Load metadata definitions from files.')
    loading.add_argument('--path', help='A file, or a directory with files; default: '
                                        'metadata_source_path.')
    for name, text in _FLAGS.items():
        loading.add_argument(f'--{name}', action='store_true', help=text)
    export = _add(steps, 'export_metadefs', export_all,
                  'Write all metadata definitions to files.')
    export.add_argument('--path', help='The directory; default: metadata_source_path.')
    _add(steps, 'unload_metadefs', unload,
         'Remove all metadata definitions, also those that users made.')


def add_parser(subparsers: Any) -> None:
    """Add the spellings of old scripts."""
    loading = _add(subparsers, 'db_load_metadefs', load,
                   'As db load_metadefs; any word in the place of an option sets it.')
    loading.add_argument('path', nargs='?')
    for name, text in _FLAGS.items():
        loading.add_argument(name, nargs='?', help=text)
    export = _add(subparsers, 'db_export_metadefs', export_all, 'As db export_metadefs.')
    export.add_argument('path', nargs='?')
    _add(subparsers, 'db_unload_metadefs', unload, 'As db unload_metadefs.')


def _add(subparsers: Any, name: str, run: Callable[[cfg.ConfigOpts], int], text: str) -> Any:
    parser = subparsers.add_parser(name, help=text)
    add_timeout(parser)
    parser.set_defaults(run=run)
    return parser


def load(conf: cfg.ConfigOpts) -> int:
    """Load files, each as a whole or not at all; returns 1 if one was not loaded."""
    verb = conf.verb
    if (verb.prefer_new or verb.overwrite) and not verb.merge:
        return _wrong('prefer_new and overwrite need merge')
    if verb.prefer_new and verb.overwrite:
        return _wrong('prefer_new and overwrite exclude each other')
    mode = ('prefer_new' if verb.prefer_new else 'overwrite' if verb.overwrite
            else 'merge' if verb.merge else 'skip')
    source = pathlib.Path(verb.path or conf.metadata_source_path)
    paths = _files(source)
    if not paths:
        print(f'{source}: no files *{metadef_files.SUFFIX}', file=sys.stderr)
        return 0
    failed = False
    with _records(conf) as records:
        for path in paths:
            try:
                _load(records, path, mode)
            except Invalid as error:
                failed = True
                print(f'ERROR: {error}', file=sys.stderr)
    return int(failed)


def _wrong(text: str) -> int:
    print(f'ERROR: {text}', file=sys.stderr)
    return 2


def _files(source: pathlib.Path) -> list[pathlib.Path]:
    if source.is_file():
        return [source]
    try:
        return sorted(path for path in source.glob(f'*{metadef_files.SUFFIX}')
                      if path.is_file())
    except OSError as error:
        raise Misconfigured(f'{source}: {error.strerror}') from error


def _load(records: MetadefRecords, path: pathlib.Path, mode: str) -> None:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Invalid(f'{path.name}: the file cannot be read: {error.strerror}') from error
    definition = metadef_files.parse(data, path.name)
    try:
        done = metadef_files.load(records, definition, mode)
    except (Conflict, Invalid, NotFound) as error:  # others change the same namespace
        raise Invalid(f'{path.name}: {error}') from error
    print(f'{done:9} {path.name}: {definition.namespace.namespace}')


def export_all(conf: cfg.ConfigOpts) -> int:
    """Write a file for each namespace."""
    folder = pathlib.Path(conf.verb.path or conf.metadata_source_path)
    with _records(conf) as records:
        namespaces = list(_namespaces(records))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for namespace, name in zip(namespaces, metadef_files.file_names(namespaces),
                                       strict=True):
                with contextlib.suppress(NotFound):     # it was removed meanwhile
                    _write(folder / name, records.read(namespace.namespace, ITEM_KINDS))
        except OSError as error:
            raise Misconfigured(f'{error.filename}: {error.strerror}') from error
    return 0


def _namespaces(records: MetadefRecords) -> Iterator[Namespace]:
    after = None
    while True:
        page = records.list(NamespaceQuery(
            _ADMIN, sort=(('namespace', 'asc'), ('id', 'asc')), after=after, limit=PAGE))
        for definition in page.items:
            after = definition.namespace
            yield after
        if not page.more:
            return


def _write(path: pathlib.Path, definition: Definition) -> None:
    done = 'replaced' if path.exists() else 'written'
    path.write_bytes(metadef_files.format_definition(definition))
    print(f'{done:9} {path.name}: {definition.namespace.namespace}')


def unload(conf: cfg.ConfigOpts) -> int:
    """Remove all definitions, and the types of resources."""
    with _records(conf) as records:
        records.clear()
    print('all metadata definitions are removed')
    return 0


@contextlib.contextmanager
def _records(conf: cfg.ConfigOpts) -> Iterator[MetadefRecords]:
    with open_database(conf) as database:
        if database.VOLATILE:
            raise Misconfigured(f'[layers] database = {conf.layers.database}: its records are '
                                'lost when this command ends')
        if ask(conf, database.behind):
            raise Misconfigured('the database schema is not up to date; run: glancelite-manage '
                                'db sync')
        yield database.metadefs
