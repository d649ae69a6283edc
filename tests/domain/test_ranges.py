"""Parsing of Range and Content-Range."""

import pytest

from glancelite import contract
from glancelite.domain import ranges


@pytest.mark.parametrize(('header', 'part'), [
    ('bytes=0-4', (0, 5)), ('bytes=0-0', (0, 1)), ('bytes=3-', (3, 7)), ('bytes=-4', (6, 4)),
    ('bytes=5-99', (5, 5)), ('bytes=-99', (0, 10)), ('bytes=0-9', (0, 10)), ('BYTES=1-2', (1, 2)),
    ('bytes = 1 - 2', (1, 2)), (' bytes=9- ', (9, 1))])
def test_a_range_within_the_image_is_parsed(header, part):
    assert ranges.parse_range(header, 10) == part


@pytest.mark.parametrize('header', [
    'bytes=10-', 'bytes=10-12', 'bytes=5-2', 'bytes=-', 'bytes=', 'bytes=-0', 'items=0-2', '0-4',
    'bytes=a-b', 'bytes=0-4x', 'bytes=1-2-3', 'bytes=--1',
    'bytes=\u0661-\u0662', 'bytes=' + '9' * 5000 + '-'])
def test_any_other_range_cannot_be_satisfied(header):
    with pytest.raises(contract.RangeNotSatisfiable) as refused:
        ranges.parse_range(header, 10)

    assert refused.value.size == 10


@pytest.mark.parametrize('header', ['bytes=0-1,3-4', 'bytes=0-1,', 'what,ever'])
def test_several_ranges_are_invalid(header):
    with pytest.raises(contract.Invalid):
        ranges.parse_range(header, 10)


@pytest.mark.parametrize('header', ['bytes=0-', 'bytes=0-0', 'bytes=-1'])
def test_no_range_of_an_empty_image_can_be_satisfied(header):
    with pytest.raises(contract.RangeNotSatisfiable):
        ranges.parse_range(header, 0)


@pytest.mark.parametrize(('header', 'part'), [
    ('bytes 0-4/10', (0, 5)), ('bytes 0-9/*', (0, 10)), ('bytes 2-4/*', (2, 3)),
    ('bytes 0-4/8', (0, 5)), ('bytes 0-4/99', (0, 5))])
def test_content_range_is_accepted_from_old_clients(header, part):
    assert ranges.parse_content_range(header, 10) == part


@pytest.mark.parametrize('header', [
    'bytes 2-10/*', 'bytes 10-12/*', 'bytes 0-10/99', 'bytes 0-4/3', 'bytes 4-2/*', 'bytes */10',
    'bytes=0-2/*', 'bytes 0-4', 'bytes -4/10', 'items 0-4/10', ''])
def test_a_content_range_that_contradicts_the_image_cannot_be_satisfied(header):
    with pytest.raises(contract.RangeNotSatisfiable):
        ranges.parse_content_range(header, 10)


@pytest.mark.parametrize(('range_', 'content_range', 'part'), [
    (None, None, None), ('bytes=1-2', None, (1, 2)),
    (None, 'bytes 3-4/*', (3, 2)), ('bytes=1-2', 'bytes 3-4/*', (1, 2))])
def test_range_takes_precedence_over_content_range(range_, content_range, part):
    assert ranges.requested_range(range_, content_range, 10) == part


@pytest.mark.parametrize('headers', [('', None), (None, ''), ('', 'bytes 0-1/*')])
def test_an_empty_header_cannot_be_satisfied(headers):
    with pytest.raises(contract.RangeNotSatisfiable):
        ranges.requested_range(*headers, 10)
