#!/usr/bin/env python3
"""Generates the part of doc/stores.md that describes the store drivers.

``python contrib/driver_table.py`` writes the part of the page between its two marks, from
the classes of the drivers.
"""

from __future__ import annotations

import configparser
import inspect
import pathlib
import textwrap
from collections.abc import Iterator

from glancelite import contract, loader
from glancelite.assembly import options as store_options

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / 'doc' / 'stores.md'
START, END = '<!-- drivers: python contrib/driver_table.py -->\n', '<!-- end of drivers -->\n'

#: capability -> the title of its column
CAPABILITIES = {'write': 'uploads', 'range': 'ranges', 'adopt': 'adopts', 'share': 'shares'}
#: driver -> what it requires that pip cannot install
PACKAGES = {'rbd': "Debian's `python3-rbd`", 'sheepdog': '`dog` of Sheepdog'}


def drivers() -> Iterator[loader.Installed]:
    """Yield the drivers of this package, by name.

    :raises Misconfigured: a driver cannot be loaded.
    """
    for name, plugin in loader.installed('store').items():
        if plugin.package == 'glancelite':
            yield loader.find('store', name)


def requirement(name: str) -> str:
    """Return what must be installed for a driver; - for nothing."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / 'setup.cfg')
    extra = name.replace('_', '-')
    if extra in setup['options.extras_require']:
        return f'`glancelite[{extra}]`'
    return PACKAGES.get(name, '-')


def table() -> str:
    """Return a table with one row for each driver."""
    head = ['driver', 'URL schemes', *CAPABILITIES.values(), 'processes', 'requires']
    rows = [[f'[`{plugin.name}`](#{plugin.name})',
             ' '.join(f'`{scheme}`' for scheme in plugin.kind.SCHEMES) or 'those of its driver',
             *('yes' if capability in plugin.kind.CAPABILITIES else '-'
               for capability in CAPABILITIES),
             'one' if plugin.kind.VOLATILE else 'many',
             requirement(plugin.name)] for plugin in drivers()]
    return ''.join(f'| {" | ".join(row)} |\n' for row in (head, ['---'] * len(head), *rows))


def section(plugin: loader.Installed) -> str:
    """Return the section of a driver: the docstring of its class, and its options."""
    kind = plugin.kind
    description = '\n\n'.join(
        paragraph for paragraph in inspect.cleandoc(kind.__doc__ or '').split('\n\n')
        if not paragraph.startswith(':'))
    text = f'### `{plugin.name}`\n\n{description.replace("``", "`")}\n'
    options = [f'`{opt.name}`{" (required)" if opt.required else ""}' for opt in kind.OPTS]
    if options:
        text += '\n' + textwrap.fill(f'Options: {", ".join(options)}.', 99,
                                     break_long_words=False, break_on_hyphens=False) + '\n'
    return text


def generated() -> str:
    """Return the part of the page between the marks."""
    common = ', '.join(f'`{opt.name}`' for opt in store_options.STORE)
    return (f'{table()}\nOptions of every store: {common}.\n\n'
            + '\n'.join(map(section, drivers())))


def page(text: str) -> str:
    """Return ``text`` with the part between the marks generated anew."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return f'{before}{START}\n{generated()}\n{END}{after}'


if __name__ == '__main__':
    assert CAPABILITIES.keys() == contract.Store.CAPABILITIES
    PAGE.write_text(page(PAGE.read_text(encoding='utf-8')), encoding='utf-8')
