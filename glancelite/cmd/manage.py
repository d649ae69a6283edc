"""``glancelite-manage``: what operators do beside serving."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

from oslo_config import cfg

from glancelite import assembly, config, contract, loader
from glancelite.contract import Database, Misconfigured
from glancelite.domain import encryption
from glancelite.services.location_audit import audit
from glancelite.services.undelete import undelete


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code: 0 done, 1 not, 2 not understood."""
    argv = sys.argv[1:] if argv is None else argv
    verbs = cfg.SubCommandOpt('verb', title='Verbs', handler=_arguments)
    try:
        conf = config.load(argv, prog='glancelite-manage', cli_opts=[verbs], tool=True)
        config.set_up_logging(conf)
        return conf.verb.run(conf)
    except (Misconfigured, contract.Error) as error:
        print(f'ERROR: {error}', file=sys.stderr)
        return 1


def _arguments(subparsers) -> None:
    database = subparsers.add_parser('db', help='Care for the database.')
    steps = database.add_subparsers(dest='step', required=True)
    for name, run, text in (
            ('sync', db_sync, 'Bring it into the form of this version.'),
            ('version', db_version, 'Print the form it has.'),
            ('check', db_check, 'Exit with 0 if nothing is to be done, else 3.')):
        steps.add_parser(name, help=text).set_defaults(run=run)
    subparsers.add_parser('layers', help='Show each layer: what is chosen, where it comes '
                          'from, how it is.').set_defaults(run=show_layers)
    locations = subparsers.add_parser(
        'locations', help='Find locations that name no store, a wrong one, or a password.')
    locations.add_argument('--write', action='store_true', help='Correct them.')
    locations.set_defaults(run=locations_)
    back = subparsers.add_parser(
        'restore', help='Bring back a deleted image whose data is still kept (delayed_delete).')
    back.add_argument('image_id', help='Its id.')
    back.set_defaults(run=restore_)
    subparsers.add_parser('check', help='Load everything and try every backend; exit with 1 if '
                          'anything is wrong.').set_defaults(run=check)


def _database(conf: cfg.ConfigOpts) -> Database:
    found = loader.load(conf, assembly.ServiceHost(), 'database', conf.layers.database)
    assert isinstance(found, Database)
    return found


def db_sync(conf: cfg.ConfigOpts) -> int:
    """``db sync``"""
    database = _database(conf)
    print(database.sync())
    database.close()
    return 0


def db_version(conf: cfg.ConfigOpts) -> int:
    """``db version``"""
    database = _database(conf)
    print(database.version() or 'none yet; run: glancelite-manage db sync')
    database.close()
    return 0


def db_check(conf: cfg.ConfigOpts) -> int:
    """``db check``"""
    database = _database(conf)
    behind = database.behind()
    print('run: glancelite-manage db sync' if behind else 'up to date')
    database.close()
    return 3 if behind else 0


def show_layers(conf: cfg.ConfigOpts) -> int:
    """``layers``: one line for each plugin, the chosen ones first in each layer."""
    core = assembly.build(conf)
    try:
        rows = [('LAYER', 'PLUGIN', 'PACKAGE', 'OPTIONS IN', 'HEALTH'), *_layer_rows(core)]
    finally:
        core.close()
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print('  '.join(cell.ljust(width) for cell, width in
                        zip(row, (*widths, 0), strict=True)).rstrip())
    return 0


def _layer_rows(core: assembly.Core) -> Iterator[tuple[str, str, str, str, str]]:
    for layer in contract.LAYERS:
        known = loader.installed(layer)
        chosen = set()
        for plugin in core.plugins:
            if layer == plugin.LAYER:
                source = next(item for item in known.values() if item.kind is type(plugin))
                chosen.add(source.name)
                name = plugin.name if plugin.name == source.name else \
                    f'{plugin.name} ({source.name})'
                yield (layer, name, f'{source.package} {source.version}',
                       ' '.join(_sections(plugin)) or '-',
                       _health(plugin.health)[1])
        for backend in core.layers.stores.not_built if layer == 'store' else ():
            source = known[backend.driver_name]
            chosen.add(source.name)
            yield (layer, f'{backend.name} ({source.name})', f'{source.package} {source.version}',
                   f'[{backend.kind.section(backend.name)}]', _health(backend.health)[1])
        for name, source in known.items():
            if name not in chosen:
                yield (layer, f'{name} - not chosen', f'{source.package} {source.version}', '-',
                       source.problem or loader.violation(layer, source.kind) or '-')


def _sections(plugin: contract.Plugin) -> Iterator[str]:
    """Where the options of a plugin and of its library are."""
    if plugin.OPTS:
        yield f'[{plugin.section(plugin.name)}]'
    probe = cfg.ConfigOpts()
    for register in plugin.LIBRARY_OPTS:
        register(probe)
    for name in probe:
        if isinstance(probe[name], cfg.ConfigOpts.GroupAttr):
            yield f'[{name}]'


def _health(ask: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, ask()
    except (Misconfigured, contract.Error) as error:
        return False, str(error)
    except Exception as error:  # whatever a foreign plugin raises is a finding here
        return False, f'{type(error).__name__}: {error}'


def locations_(conf: cfg.ConfigOpts) -> int:
    """``locations``: one line for each finding; exits with 3 if something is left to be done."""
    core = assembly.build(conf)
    left = 0
    try:
        for finding in audit(core.layers, write=conf.verb.write):
            left += not finding.corrected
            print(f'{"done" if finding.corrected else "    "}  {finding.image_id}: {finding.text}')
    finally:
        core.close()
    return 3 if left else 0


def restore_(conf: cfg.ConfigOpts) -> int:
    """``restore``"""
    core = assembly.build(conf)
    try:
        image = undelete(core.layers, conf.verb.image_id)
        print(f'{image.id} is active again')
        if encryption.key_to_delete(image):
            print('its volume was encrypted, and the key was removed when it was deleted')
    finally:
        core.close()
    return 0


def check(conf: cfg.ConfigOpts) -> int:
    """``check``: one line for each finding."""
    try:
        core = assembly.build(conf)
    except (Misconfigured, contract.Error) as error:
        print(f'FAIL  configuration: {error}')
        return 1
    failed = False
    try:
        for subject, ask in (
                *((f'{plugin.LAYER} {plugin.name}', plugin.health) for plugin in core.plugins),
                *((f'store {backend.name}', backend.health)
                  for backend in core.layers.stores.not_built),
                ('database tables', lambda: _up_to_date(core.layers.database))):
            well, text = _health(ask)
            failed |= not well
            print(f'{"ok  " if well else "FAIL"}  {subject}: {text}')
        for name in config.unused(conf):
            print(f'note  not used by glancelite: {name}')
    finally:
        core.close()
    return 1 if failed else 0


def _up_to_date(database: Database) -> str:
    if database.behind():
        raise Misconfigured('run: glancelite-manage db sync')
    return 'up to date'


if __name__ == '__main__':
    sys.exit(main())
