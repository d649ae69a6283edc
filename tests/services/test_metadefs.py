"""Metadata definitions: who may do what, whole pages, and few reads."""

import dataclasses

import pytest

from glancelite import contract
from glancelite.contract import metadef
from glancelite.contract.metadef import (
    Association,
    DefinedObject,
    DefinedProperty,
    DefinedTag,
    Definition,
    Namespace,
    NamespaceQuery,
)
from glancelite.services.chains import PolicyChain
from glancelite.services.metadefs import namespaces
from glancelite.testing import service

DEFINITION = Definition(
    Namespace('OS::Test', visibility='public', owner='owner'),
    resource_types=[Association('OS::Flavor', prefix='hw:')], objects=[DefinedObject('o')],
    properties=[DefinedProperty('p', schema={'title': 'T', 'type': 'string'})],
    tags=[DefinedTag('t')])


class Refuses(contract.PolicyEngine):
    """Refuses actions, or all actions on namespaces with these names."""

    def __init__(self, *actions, names=()):
        super().__init__(None, None)
        self._actions, self._names = actions, names
        self.asked = []

    def enforce(self, ctx, action, target=None, *, member=None):
        self.asked.append((action, target))
        if action in self._actions or (target is not None and target.namespace in self._names):
            raise contract.Forbidden(f'not {action}')


class Counting:
    """Records that count calls."""

    def __init__(self, records):
        self._records = records
        self.calls = []

    def __getattr__(self, name):
        method = getattr(self._records, name)

        def call(*args, **named):
            self.calls.append(name)
            return method(*args, **named)
        return call


class Beside:
    """The database of a service, with other records of metadata definitions."""

    def __init__(self, core, metadefs):
        self._database = core.layers.database
        self.metadefs = metadefs

    def __getattr__(self, name):
        return getattr(self._database, name)


@pytest.fixture
def counted(core):
    """The service, and the calls of its records."""
    records = Counting(core.layers.database.metadefs)
    return service.exchange(core, database=Beside(core, records)), records.calls


@pytest.fixture
def created(core, admin):
    return core.use_cases.metadef_namespaces.create(admin, DEFINITION)


@pytest.fixture
def by_projects(tmp_path):
    """A service whose projects define their own namespaces."""
    policy = tmp_path / 'policy.yaml'
    policy.write_text('metadef_admin: "role:member and project_id:%(project_id)s"')
    core = service.build(tmp_path, f'{service.MEMORY}[oslo_policy]\npolicy_file = {policy}\n')
    yield core.use_cases
    core.close()


def limited(core, *actions, **named):
    engine = Refuses(*actions, **named)
    return service.exchange(core, policy=PolicyChain([engine])).use_cases, engine


class TestPolicies:

    @pytest.mark.parametrize(('kind', 'action'), [
        ('resource_types', 'add_metadef_resource_type_association'),
        ('objects', 'add_metadef_object'), ('tags', 'add_metadef_tag'),
        ('properties', 'add_metadef_property')])
    def test_items_of_a_new_namespace_need_their_rules(self, core, admin, kind, action):
        cases, _ = limited(core, action)

        with pytest.raises(contract.Forbidden, match=action):
            cases.metadef_namespaces.create(admin, DEFINITION)
        with pytest.raises(contract.NotFound):
            core.use_cases.metadef_namespaces.get(admin, 'OS::Test')

        without = dataclasses.replace(DEFINITION, **{kind: []})
        assert cases.metadef_namespaces.create(admin, without).namespace.namespace == 'OS::Test'

    @pytest.mark.parametrize('action', [
        'list_metadef_resource_types', 'get_metadef_objects', 'get_metadef_properties',
        'get_metadef_tags'])
    def test_a_namespace_is_not_shown_if_one_kind_is_refused(self, core, ctx, created, action):
        cases, engine = limited(core, action)

        with pytest.raises(contract.Forbidden, match=action):
            cases.metadef_namespaces.get(ctx, 'OS::Test')
        assert all(target == created.namespace for _, target in engine.asked)

    def test_the_listing_needs_the_rule_for_resource_types(self, core, ctx):
        cases, _ = limited(core, 'list_metadef_resource_types')

        with pytest.raises(contract.Forbidden):
            cases.metadef_namespaces.list(ctx, NamespaceQuery(ctx.viewer))

    @pytest.mark.parametrize(('items', 'action'), [
        ('metadef_objects', 'get_metadef_object'),
        ('metadef_resource_types', 'get_metadef_resource_type')])
    def test_items_that_the_caller_may_not_see_are_not_listed(self, core, ctx, created, items,
                                                              action):
        cases, _ = limited(core, action)

        assert len(getattr(core.use_cases, items).list(ctx, 'OS::Test')) == 1
        assert list(getattr(cases, items).list(ctx, 'OS::Test')) == []

    def test_a_property_with_a_prefix_needs_the_rule_for_resource_types(self, core, ctx, created):
        cases, _ = limited(core, 'get_metadef_resource_type')

        assert cases.metadef_properties.get(ctx, 'OS::Test', 'p').name == 'p'
        with pytest.raises(contract.Forbidden):
            cases.metadef_properties.get(ctx, 'OS::Test', 'hw:p', 'OS::Flavor')

    @pytest.mark.parametrize(('kind', 'rules'), [
        ('objects', ['delete_metadef_namespace']), ('properties', ['delete_metadef_namespace']),
        ('tags', ['delete_metadef_namespace', 'delete_metadef_tags'])])
    def test_removing_all_items_needs_the_rules_for_namespaces(self, core, admin, created, kind,
                                                               rules):
        cases, engine = limited(core)

        getattr(cases, f'metadef_{kind}').clear(admin, 'OS::Test')

        assert [action for action, _ in engine.asked] == rules
        assert core.layers.database.metadefs.items('OS::Test', kind) == ()

    def test_anonymous_callers_change_nothing(self, core, created):
        with pytest.raises((contract.Forbidden, contract.NotFound)):
            core.use_cases.metadef_tags.add(
                contract.Context(read_only=True), 'OS::Test', DefinedTag('x'))


class TestOwners:

    def test_projects_can_define_their_own_namespaces(self, by_projects, ctx, context):
        namespace = by_projects.metadef_namespaces.create(
            ctx, Definition(Namespace('mine', visibility='public'))).namespace

        assert namespace.owner == 'owner'
        by_projects.metadef_objects.add(ctx, 'mine', DefinedObject('o'))
        other = context('other')
        with pytest.raises(contract.Forbidden):
            by_projects.metadef_objects.add(other, 'mine', DefinedObject('x'))
        with pytest.raises(contract.Forbidden):
            by_projects.metadef_namespaces.update(other, 'mine', Namespace('theirs'))
        by_projects.metadef_namespaces.update(ctx, 'mine', Namespace('mine'))
        with pytest.raises(contract.NotFound):
            by_projects.metadef_objects.add(other, 'mine', DefinedObject('x'))
        by_projects.metadef_namespaces.delete(ctx, 'mine')

    def test_an_owner_is_taken_as_it_is_given(self, core, admin):
        cases = core.use_cases.metadef_namespaces
        cases.create(admin, Definition(Namespace('n', owner='any')))

        assert cases.get(admin, 'n').namespace.owner == 'any'
        assert cases.update(admin, 'n', Namespace('n', owner='else')).owner == 'else'
        assert cases.update(admin, 'n', Namespace('n')).owner == 'admins'
        assert cases.update(admin, 'n', Namespace('n', owner='')).owner == 'admins'

    def test_a_caller_without_a_project_names_the_owner(self, core, admin):
        nowhere = dataclasses.replace(admin, project=None)
        cases = core.use_cases.metadef_namespaces

        with pytest.raises(contract.Invalid, match='owner'):
            cases.create(nowhere, Definition(Namespace('n')))
        cases.create(nowhere, Definition(Namespace('n', owner='any')))
        with pytest.raises(contract.Invalid, match='owner'):
            cases.update(nowhere, 'n', Namespace('n'))

    def test_a_namespace_without_an_owner_is_seen_by_all(self, core, ctx):
        core.layers.database.metadefs.add(Definition(Namespace('n', owner=None)))
        cases, _ = limited(core)

        assert cases.metadef_namespaces.get(ctx, 'n').namespace.namespace == 'n'


class TestPages:

    @pytest.fixture
    def ten(self, core, admin):
        for number in range(10):
            core.use_cases.metadef_namespaces.create(
                admin, Definition(Namespace(str(number), visibility='public')))

    def pages(self, cases, ctx, limit):
        """Yield the names on each page, until one is not full."""
        marker, full = None, True
        while full:
            page = cases.metadef_namespaces.list(ctx, NamespaceQuery(ctx.viewer, limit=limit),
                                                 marker)
            yield [each.namespace.namespace for each in page]
            full = len(page) == limit
            marker = page[-1].namespace.namespace if page else None

    def test_a_page_is_full_however_many_the_policy_hides(self, core, ctx, ten, monkeypatch):
        monkeypatch.setattr(namespaces, 'REFILL', 2)
        cases, _ = limited(core, names=('9', '8', '6', '5', '4', '3'))

        assert list(self.pages(cases, ctx, 2)) == [['7', '2'], ['1', '0'], []]

    def test_many_hidden_namespaces_are_read_in_few_calls(self, counted, ctx, ten):
        core, calls = counted
        cases, _ = limited(core, names=tuple('9876543'))

        assert list(self.pages(cases, ctx, 1)) == [['2'], ['1'], ['0'], []]
        assert calls.count('list') == 5

    def test_one_engine_is_asked_about_a_page_at_once(self, core, ctx, ten):
        class Pages(contract.PolicyEngine):
            asked = 0

            def enforce(self, ctx, action, target=None, *, member=None):
                assert target is None

            def filter(self, ctx, action, targets):
                self.asked += 1
                return targets
        engine = Pages(None, None)
        cases = service.exchange(core, policy=PolicyChain([engine])).use_cases

        assert list(self.pages(cases, ctx, 20)) == [[str(number) for number in range(9, -1, -1)]]
        assert engine.asked == 1


class TestReads:

    @pytest.mark.parametrize(('call', 'reads'), [
        (lambda cases, ctx: cases.metadef_namespaces.list(
            ctx, NamespaceQuery(ctx.viewer, limit=10)), ['list']),
        (lambda cases, ctx: cases.metadef_namespaces.get(ctx, 'OS::Test'), ['read']),
        (lambda cases, ctx: cases.metadef_objects.list(ctx, 'OS::Test'), ['read']),
        (lambda cases, ctx: cases.metadef_properties.list(ctx, 'OS::Test'), ['read']),
        (lambda cases, ctx: cases.metadef_tags.list(ctx, 'OS::Test'), ['read']),
        (lambda cases, ctx: cases.metadef_resource_types.list(ctx, 'OS::Test'), ['read']),
        (lambda cases, ctx: cases.metadef_resource_types.all(ctx), ['resource_types']),
        (lambda cases, ctx: cases.metadef_objects.get(ctx, 'OS::Test', 'o'), ['get', 'item']),
        (lambda cases, ctx: cases.metadef_tags.add_all(
            ctx, 'OS::Test', [DefinedTag(str(number)) for number in range(50)], append=True),
         ['get', 'add_items']),
        (lambda cases, ctx: cases.metadef_namespaces.delete(ctx, 'OS::Test'), ['get', 'remove']),
    ])
    def test_a_use_case_calls_the_records_a_fixed_number_of_times(
            self, counted, admin, created, call, reads):
        core, calls = counted

        call(core.use_cases, admin)

        assert calls == reads

    def test_a_namespace_with_all_items_is_written_at_once(self, counted, admin):
        core, calls = counted

        core.use_cases.metadef_namespaces.create(admin, DEFINITION)

        assert calls == ['add']


class TestRaces:
    """What another process does between the read and the write of a request."""

    def beside(self, core, **methods):
        """Return the use cases, and the records before whose methods something happens."""
        class Records:
            def __getattr__(self, name):
                def call(*args, **named):
                    methods.get(name, lambda: None)()
                    return getattr(core.layers.database.metadefs, name)(*args, **named)
                return call

        return service.exchange(core, database=Beside(core, Records())).use_cases

    def test_a_namespace_that_was_protected_meanwhile_is_kept(self, core, admin, created):
        records = core.layers.database.metadefs

        def protect():
            records.update(created.namespace, {'protected': True})
        cases = self.beside(core, remove=protect, remove_items=protect, remove_item=protect)

        for call in (lambda: cases.metadef_namespaces.delete(admin, 'OS::Test'),
                     lambda: cases.metadef_tags.clear(admin, 'OS::Test'),
                     lambda: cases.metadef_tags.remove(admin, 'OS::Test', 't')):
            with pytest.raises(contract.Forbidden):
                call()
            records.update(created.namespace, {'protected': False})
        assert len(records.items('OS::Test', 'tags')) == 1

    def test_a_namespace_that_was_deleted_meanwhile_is_not_found(self, core, admin):
        records = core.layers.database.metadefs
        cases = self.beside(core, **dict.fromkeys((
            'update', 'remove', 'add_items', 'update_item', 'remove_item', 'remove_items'),
            lambda: records.remove('OS::Test')))

        for call in (
                lambda: cases.metadef_namespaces.update(admin, 'OS::Test', Namespace('x')),
                lambda: cases.metadef_namespaces.delete(admin, 'OS::Test'),
                lambda: cases.metadef_tags.add(admin, 'OS::Test', DefinedTag('x')),
                lambda: cases.metadef_tags.add_all(admin, 'OS::Test', [DefinedTag('x')],
                                                   append=False),
                lambda: cases.metadef_tags.replace(admin, 'OS::Test', 't', DefinedTag('x')),
                lambda: cases.metadef_tags.remove(admin, 'OS::Test', 't'),
                lambda: cases.metadef_tags.clear(admin, 'OS::Test')):
            records.add(DEFINITION)
            with pytest.raises(contract.NotFound):
                call()


def test_the_order_of_creation_is_that_of_the_kinds():
    assert list(namespaces._CREATION) == list(metadef.ITEM_KINDS)
