"""Tags: a set, limited by the quota."""

import pytest

from glancelite import contract


def test_a_tag_is_added_once(core, ctx, queued, reread):
    image = queued(tags=['b'])

    core.use_cases.tags.add(ctx, image.id, 'a')
    core.use_cases.tags.add(ctx, image.id, 'a')

    assert reread(image).tags == ('a', 'b')


def test_adding_an_existing_tag_changes_nothing(core, ctx, queued, reread):
    image = queued(tags=['a'])

    core.use_cases.tags.add(ctx, image.id, 'a')

    assert reread(image) == image


def test_a_tag_is_removed_once(core, ctx, queued, reread):
    image = queued(tags=['a', 'b'])

    core.use_cases.tags.remove(ctx, image.id, 'a')

    assert reread(image).tags == ('b',)
    with pytest.raises(contract.NotFound):
        core.use_cases.tags.remove(ctx, image.id, 'a')


@pytest.mark.parametrize('tag', ['x' * 256, 'a\0b'])
def test_an_invalid_tag_is_refused(core, ctx, queued, tag):
    with pytest.raises(contract.Invalid):
        core.use_cases.tags.add(ctx, queued().id, tag)


def test_one_tag_too_many_is_refused(core, ctx, queued):
    image = queued(tags=[str(number) for number in range(128)])

    with pytest.raises(contract.QuotaExceeded):
        core.use_cases.tags.add(ctx, image.id, 'more')


def test_an_image_of_another_project_cannot_be_tagged(core, context, queued):
    image = queued(visibility='community')

    with pytest.raises(contract.Forbidden):
        core.use_cases.tags.add(context('stranger'), image.id, 'mine')
