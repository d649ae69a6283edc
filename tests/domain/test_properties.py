"""Names and values that an image may have."""

import pytest

from glancelite import contract
from glancelite.domain import properties


@pytest.mark.parametrize('name', ['location', 'deleted', 'deleted_at', 'os_glance',
                                  'os_glance_import_task', 'os_glance_' + 'x' * 300])
def test_reserved_names_are_forbidden(name):
    with pytest.raises(contract.Forbidden):
        properties.check_name(name)


@pytest.mark.parametrize('name', ['', 'x' * 256])
def test_a_name_has_1_to_255_characters(name):
    with pytest.raises(contract.Invalid):
        properties.check_name(name)


@pytest.mark.parametrize('name', ['x', 'x' * 255, 'os_distro', 'Deleted', 'ü', 'a/b'])
def test_other_names_are_valid(name):
    assert properties.check_name(name) is None


def test_reserved_properties_do_not_count_against_the_quota():
    names = ['a', 'os_glance_import_task', 'b', 'os_glance_failed_import']

    assert properties.count_for_quota(names) == 2


@pytest.mark.parametrize('text', ['\U0001f600', 'a\U00010000', '\ud800', 'x\udfff', 'a\0b'])
@pytest.mark.parametrize('values', [
    lambda text: ({'name': text}, {}), lambda text: ({'tags': ('a', text)}, {}),
    lambda text: ({}, {text: 'x'}), lambda text: ({}, {'x': text})])
def test_text_that_databases_cannot_store_is_invalid(text, values):
    with pytest.raises(contract.Invalid):
        properties.check_values(*values(text))


@pytest.mark.parametrize('text', ['', 'plain', 'ünïcode', '\uffff', '漢字', '\t\n'])
def test_other_text_is_valid(text):
    assert properties.check_values({'name': text, 'tags': (text,)}, {'x': text}) is None


@pytest.mark.parametrize('char', ['x', 'ü', '漢'])
def test_a_value_has_at_most_64_kib(char):
    longest = char * (65535 // len(char.encode()))
    properties.check_values({}, {'a': longest})

    with pytest.raises(contract.Invalid, match='65535'):
        properties.check_values({}, {'a': longest + char})


@pytest.mark.parametrize('name', ['min_disk', 'min_ram'])
def test_min_disk_and_min_ram_have_32_bits(name):
    properties.check_values({name: 0}, {})
    properties.check_values({name: 2147483647}, {})
    for value in (-1, 2147483648):
        with pytest.raises(contract.Invalid, match=name):
            properties.check_values({name: value}, {})
