#!/usr/bin/env python3
"""The table of store drivers in doc/stores.md, from the drivers themselves.

``python contrib/driver_table.py`` writes the part of the page between its two marks.
"""

from __future__ import annotations

import configparser
import inspect
import pathlib
import textwrap
from collections.abc import Iterator

from glancelite import config, contract, loader

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / 'doc' / 'stores.md'
START, END = '<!-- drivers: python contrib/driver_table.py -->\n', '<!-- end of drivers -->\n'

#: ability -> the head of its column
ABILITIES = {'write': 'takes images', 'range': 'reads parts', 'adopt': 'adopts', 'share': 'shares'}
#: what is not to be had with pip
PACKAGES = {'rbd': "Debian's `python3-rbd`", 'sheepdog': '`dog`, of Sheepdog itself'}


def drivers() -> Iterator[loader.Installed]:
    """The drivers of this package, by name.

    :raises Misconfigured: one cannot be chosen.
    """
    for name, plugin in loader.installed('store').items():
        if plugin.package == 'glancelite':
            yield loader.find('store', name)


def library(name: str) -> str:
    """What to install for a driver that wants a library of its own; - if it does not."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / 'setup.cfg')
    wanted = name.replace('_', '-')
    if wanted in setup['options.extras_require']:
        return f'`glancelite[{wanted}]`'
    return PACKAGES.get(name, '-')


def table() -> str:
    """One line for each driver."""
    head = ['driver', 'addresses', *ABILITIES.values(), 'processes', 'needs']
    rows = [[f'[`{plugin.name}`](#{plugin.name})',
             ' '.join(f'`{scheme}`' for scheme in plugin.kind.SCHEMES) or 'by its options',
             *('yes' if ability in plugin.kind.CAPABILITIES else '-' for ability in ABILITIES),
             'one' if plugin.kind.VOLATILE else 'many',
             library(plugin.name)] for plugin in drivers()]
    return ''.join(f'| {" | ".join(row)} |\n' for row in (head, ['---'] * len(head), *rows))


def section(plugin: loader.Installed) -> str:
    """What a driver is for, in its own words, and its options."""
    kind = plugin.kind
    words = '\n\n'.join(part for part in inspect.cleandoc(kind.__doc__ or '').split('\n\n')
                        if not part.startswith(':'))
    text = f'### `{plugin.name}`\n\n{words.replace("``", "`")}\n'
    options = [f'`{opt.name}`{" (must be set)" if opt.required else ""}' for opt in kind.OPTS]
    if options:
        text += '\n' + textwrap.fill(f'Options: {", ".join(options)}.', 99,
                                     break_long_words=False, break_on_hyphens=False) + '\n'
    return text


def generated() -> str:
    """The part of the page that the drivers decide on."""
    common = ', '.join(f'`{opt.name}`' for opt in config.STORE)
    return (f'{table()}\nOptions that every store has: {common}.\n\n'
            + '\n'.join(map(section, drivers())))


def page(text: str) -> str:
    """``text`` with what the drivers say today between the marks."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return f'{before}{START}\n{generated()}\n{END}{after}'


if __name__ == '__main__':
    assert ABILITIES.keys() == contract.Store.CAPABILITIES
    PAGE.write_text(page(PAGE.read_text(encoding='utf-8')), encoding='utf-8')
