"""The step ``inject_metadata``."""

import pytest

from glancelite import contract
from glancelite.plugins.step.inject_metadata import InjectMetadata
from glancelite.testing.contracts import StepContract
from glancelite.testing.fakes import FakeJob


class TestInjectMetadata(StepContract):

    @pytest.fixture
    def step(self, make_plugin):
        return make_plugin(InjectMetadata, inject={'os_type': 'linux', 'before': 'no'})


@pytest.fixture
def injected(make_plugin, context, tmp_path):
    """Returns the properties of an image that a user with these roles has imported."""
    def run(*roles, **options):
        job = FakeJob(tmp_path, b'data', ctx=context(roles=roles), image=contract.Image(
            '11111111-2222-4333-8444-555555555555', properties={'a': 'mine', 'b': 'mine'}))
        make_plugin(InjectMetadata, **options).run(job)
        assert job.data == b'data'
        return job.image.properties
    return run


@pytest.mark.parametrize(('roles', 'ignored', 'value'), [
    (['member'], ['admin'], 'set'), (['member', 'admin'], ['admin'], 'mine'),
    (['member', 'Admin'], ['ADMIN'], 'mine'), ([], ['admin'], 'set'), (['admin'], [], 'set'),
    (['member', 'reader'], ['admin', 'reader'], 'mine')])
def test_properties_are_set_unless_the_user_has_a_role(injected, roles, ignored, value):
    assert injected(*roles, inject={'a': 'set'}, ignore_user_roles=ignored) == {
        'a': value, 'b': 'mine'}


def test_nothing_is_set_by_default(injected):
    assert injected('member') == {'a': 'mine', 'b': 'mine'}


@pytest.mark.parametrize(('name', 'sentence'), [
    ('os_glance_import_task', 'names that begin with os_glance'),
    ('owner', 'an attribute of every image'), ('', '1 to 255 characters'),
    ('x' * 256, '1 to 255 characters')])
def test_names_that_no_property_has_are_refused_at_the_start(make_plugin, name, sentence):
    with pytest.raises(contract.Misconfigured, match=sentence) as raised:
        make_plugin(InjectMetadata, inject={'os_type': 'linux', name: 'x'})

    assert '[inject_metadata_properties] inject' in str(raised.value)


def test_health_names_the_properties(make_plugin):
    assert make_plugin(InjectMetadata, inject={'b': '1', 'a': '2'}).health() == 'properties: a, b'
    assert make_plugin(InjectMetadata).health() == 'properties: none'


def test_quotes_are_left_out_as_the_parser_of_files_leaves_them(injected):
    """``inject = "a":"1","b":"2"``, as in Glance's documentation; it removes the outer two."""
    assert injected('member', inject={'a"': '"1"', '"b"': '"2'}) == {'a': '1', 'b': '2'}
