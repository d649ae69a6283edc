"""The page about stores agrees with the drivers."""

import re

from contrib import driver_table
from glancelite import contract, loader

TEXT = driver_table.PAGE.read_text(encoding='utf-8')


def test_the_table_of_drivers_is_current():
    assert driver_table.page(TEXT) == TEXT, 'run: python contrib/driver_table.py'


def test_every_driver_has_a_row_and_a_section():
    names = [name for name, plugin in loader.installed('store').items()
             if plugin.package == 'glancelite']

    assert re.findall(r'^\| \[`(\w+)`\]', TEXT, re.MULTILINE) == names
    assert re.findall(r'^### `(\w+)`', TEXT, re.MULTILINE) == names


def test_every_capability_and_every_column_is_explained():
    assert driver_table.CAPABILITIES.keys() == contract.Store.CAPABILITIES

    head = driver_table.table().splitlines()[0]
    columns = [column.strip() for column in head.strip('|').split('|')][1:]
    explained = re.findall(r'^\| (\w[\w ]*\w) \| \S', TEXT.partition('<!--')[0], re.MULTILINE)
    assert [column for column in columns if column not in explained] == []


def test_the_table_shows_what_a_driver_requires():
    assert driver_table.requirement('file') == '-'
    assert driver_table.requirement('glance_store') == '`glancelite[glance-store]`'
    assert driver_table.requirement('rbd') == "Debian's `python3-rbd`"
