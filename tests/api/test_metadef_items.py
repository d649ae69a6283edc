"""Objects, properties, tags and resource types of namespaces on the wire."""

import pytest

from tests.api.conftest import error

NS = '/v2/metadefs/namespaces/OS::Test'
JSON = {'Accept': 'application/json'}
PROPERTY = {'name': 'p', 'title': 'T', 'type': 'string'}
NAMED = {'title': 'T', 'type': 'string'}
ITEMS = {'objects': {'name': 'x'}, 'properties': {**PROPERTY, 'name': 'x'}, 'tags': {'name': 'x'}}


@pytest.fixture(autouse=True)
def namespace(admin):
    admin.post_json('/v2/metadefs/namespaces',
                    {'namespace': 'OS::Test', 'visibility': 'public', 'owner': 'own'})


@pytest.fixture
def add(admin):
    """Add an item with this name."""
    def add(kind, name='x'):
        if kind == 'tags':
            return admin.post(f'{NS}/tags/{name}', status=201).json
        return admin.post_json(f'{NS}/{kind}', {**ITEMS[kind], 'name': name}, status=201).json
    return add


def protect(admin, protected=True):
    admin.put_json(NS, {'namespace': 'OS::Test', 'visibility': 'public', 'owner': 'own',
                        'protected': protected})


@pytest.mark.parametrize('kind', ITEMS)
class TestAllKinds:

    def test_an_item_can_be_renamed(self, admin, add, kind):
        add(kind)

        changed = admin.put_json(f'{NS}/{kind}/x', {**ITEMS[kind], 'name': 'new'}).json

        assert changed['name'] == 'new'
        admin.get(f'{NS}/{kind}/x', status=404)
        assert admin.get(f'{NS}/{kind}/new').json == changed

    def test_a_name_that_is_taken_is_refused(self, admin, add, kind):
        add(kind)
        before = add(kind, 'y')

        if kind == 'tags':
            admin.post(f'{NS}/tags/x', status=409)
        else:
            answer = admin.post_json(f'{NS}/{kind}', ITEMS[kind], headers=JSON, status=409)
            assert error(answer).endswith('with name=x already exists in namespace=OS::Test.')
        admin.put_json(f'{NS}/{kind}/y', ITEMS[kind], status=409)
        assert admin.get(f'{NS}/{kind}/y').json['name'] == before['name']

    def test_an_item_that_does_not_exist_is_not_found(self, admin, kind):
        answer = admin.get(f'{NS}/{kind}/none', headers=JSON, status=404)

        assert error(answer).endswith(
            'with name=none was not found in namespace=OS::Test.')
        admin.put_json(f'{NS}/{kind}/none', ITEMS[kind], status=404)
        admin.delete(f'{NS}/{kind}/none', status=404)
        protect(admin)
        admin.delete(f'{NS}/{kind}/none', status=404)

    def test_items_of_a_protected_namespace_are_not_deleted(self, admin, add, kind):
        add(kind)
        protect(admin)

        assert error(admin.delete(f'{NS}/{kind}/x', headers=JSON, status=403)).endswith(
            '=x is protected and cannot be deleted.')
        admin.delete(f'{NS}/{kind}', status=403)
        add(kind, 'y')
        admin.put_json(f'{NS}/{kind}/x', ITEMS[kind], status=200)
        protect(admin, protected=False)
        admin.delete(f'{NS}/{kind}/x', status=204)
        admin.get(f'{NS}/{kind}/y', status=200)

    def test_all_items_of_a_kind_can_be_deleted(self, admin, add, kind):
        for other in ITEMS:
            add(other)

        for _ in range(2):
            admin.delete(f'{NS}/{kind}', status=204)

        admin.get(f'{NS}/{kind}/x', status=404)
        for other in ITEMS.keys() - {kind}:
            admin.get(f'{NS}/{other}/x', status=200)

    @pytest.mark.parametrize('name', ['created_at', 'updated_at'])
    def test_times_are_read_only(self, admin, add, kind, name):
        add(kind)
        body = {name: 'x', 'unknown': 1}

        sends = [(admin.put_json, f'{NS}/{kind}/x'), (admin.post_json, f'{NS}/{kind}')]
        for send, path in sends:
            answer = send(path, body, headers=JSON, status=403)
            assert error(answer) == f"Attribute '{name}' is read-only."

    @pytest.mark.parametrize('change', [{'name': 'x' * 81}, {'name': 5}, {'unknown': 1}])
    def test_what_the_schema_forbids_is_refused(self, admin, add, kind, change):
        add(kind)

        answer = admin.put_json(f'{NS}/{kind}/x', {**ITEMS[kind], **change}, headers=JSON,
                                status=400)

        assert error(answer).startswith('Provided object does not match schema ')


class TestObjects:

    FULL = {'name': 'o', 'description': 'd', 'required': ['a', 'other'],
            'properties': {'a': {**NAMED, 'default': True}}}

    def test_an_object_is_answered_with_links(self, admin, app):
        created = admin.post_json(f'{NS}/objects', self.FULL, status=201)

        assert 'Location' not in created.headers
        assert created.json == app.get(f'{NS}/objects/o').json
        shown = created.json
        assert shown.pop('self') == f'{NS}/objects/o'
        assert shown.pop('schema') == '/v2/schemas/metadefs/object'
        assert shown.pop('created_at').endswith('Z')
        assert shown.pop('updated_at').endswith('Z')
        assert shown == {**self.FULL, 'properties': {'a': {**NAMED, 'default': 'True'}}}

    def test_what_a_new_object_lacks_is_shown_later(self, admin):
        created = admin.post_json(f'{NS}/objects', {'name': 'o'}).json
        assert created.keys() == {'name', 'created_at', 'updated_at', 'self', 'schema'}

        shown = admin.get(f'{NS}/objects/o').json

        assert (shown['required'], shown['properties']) == ([], {})
        assert 'description' not in shown

    def test_a_change_replaces_all_attributes(self, admin):
        admin.post_json(f'{NS}/objects', self.FULL)

        changed = admin.put_json(f'{NS}/objects/o', {'name': 'o'}).json

        assert (changed['required'], changed['properties']) == ([], {})
        assert 'description' not in changed

    @pytest.mark.parametrize('name', ['self', 'schema'])
    def test_links_are_read_only(self, admin, name):
        admin.post_json(f'{NS}/objects', {'name': 'o', name: 'x'}, status=403)

    def test_properties_of_a_new_object_follow_the_schema_of_a_property(self, admin):
        empty = {'name': 'o', 'properties': {'a': {**NAMED, 'required': []}}}

        assert "schema 'property'" in error(
            admin.post_json(f'{NS}/objects', empty, headers=JSON, status=400))
        admin.post_json(f'{NS}/objects', {'name': 'o'})
        admin.put_json(f'{NS}/objects/o', empty, status=200)

    def test_the_listing_has_all_objects_in_the_order_of_creation(self, app, add):
        for name in 'bac':
            add('objects', name)

        listed = app.get(f'{NS}/objects?limit=1&sort_key=nothing&marker=x').json

        assert [each['name'] for each in listed['objects']] == ['b', 'a', 'c']
        assert listed['schema'] == 'v2/schemas/metadefs/objects'
        assert listed.keys() == {'objects', 'schema'}
        assert listed['objects'][0] == app.get(f'{NS}/objects/b').json

    @pytest.mark.parametrize('query', ['limit=0', 'limit=-1', 'limit=x', 'sort_dir=up',
                                       'visibility=community'])
    def test_an_invalid_parameter_is_refused(self, app, query):
        app.get(f'{NS}/objects?{query}', status=400)
        app.get(f'{NS}/objects?visibility=shared', status=200)


class TestProperties:

    FULL = {
        'name': 'p', 'title': 'T', 'type': 'array', 'description': 'd', 'operators': ['<or>'],
        'required': ['x'], 'minimum': 1.5, 'maximum': 10, 'minLength': 0, 'maxLength': 9,
        'pattern': '(', 'enum': ['a', 1, None], 'readonly': True, 'default': ['ä'],
        'items': {'type': 'string', 'enum': ['a']}, 'minItems': 0, 'maxItems': 5,
        'uniqueItems': True, 'additionalItems': False}

    def test_a_property_is_answered_as_it_was_sent(self, admin, app):
        created = admin.post_json(f'{NS}/properties', self.FULL, status=201)

        assert created.json == self.FULL
        assert app.get(f'{NS}/properties/p').json == self.FULL
        assert app.get(f'{NS}/properties').json == {'properties': {'p': self.FULL}}
        assert app.get(NS).json['properties'] == {'p': self.FULL}

    @pytest.mark.parametrize(('default', 'shown'), [
        (5, '5'), (True, 'True'), (1.5, '1.5'), ('ä', 'ä'), ({'a': [1]}, {'a': [1]}), ([1], [1])])
    def test_a_scalar_default_is_shown_as_a_text(self, admin, default, shown):
        created = admin.post_json(f'{NS}/properties', {**PROPERTY, 'default': default})

        assert created.json['default'] == admin.get(f'{NS}/properties/p').json['default'] == shown

    def test_names_are_shown_inside_only_if_they_were_given_there(self, admin, add):
        add('properties')
        admin.post_json('/v2/metadefs/namespaces', {'namespace': 'n', 'properties': {'x': NAMED}})

        assert admin.get(f'{NS}/properties').json['properties']['x']['name'] == 'x'
        nested = '/v2/metadefs/namespaces/n/properties'
        assert admin.get(nested).json == {'properties': {'x': NAMED}}
        assert admin.get(f'{nested}/x').json == {**NAMED, 'name': 'x'}

    @pytest.mark.parametrize('change', [{'type': 'text'}, {'type': None}, {'maxItems': -1},
                                        {'required': []}, {'confidential': True},
                                        {'items': {'type': 'x'}}, {'enum': 'x'}])
    def test_what_the_schema_forbids_is_refused(self, admin, change):
        admin.post_json(f'{NS}/properties', {**PROPERTY, **change}, status=400)

    @pytest.mark.parametrize('name', ['name', 'title', 'type'])
    def test_a_property_needs_name_title_and_type(self, admin, name):
        body = {key: value for key, value in PROPERTY.items() if key != name}

        assert error(admin.post_json(f'{NS}/properties', body, headers=JSON, status=400)) == (
            f"Provided object does not match schema 'property': lacks '{name}'")

    def test_a_property_is_found_by_its_name_with_a_prefix(self, admin, app):
        admin.post_json(f'{NS}/properties', PROPERTY)
        for name, prefix in ('typed', {'prefix': 'hw_'}), ('bare', {}):
            admin.post_json(f'{NS}/resource_types', {'name': name, **prefix})

        def get(name, query, status):
            answer = app.get(f'{NS}/properties/{name}?{query}', headers=JSON, status=status)
            return answer.json if status == 200 else error(answer)

        assert get('hw_p', 'resource_type=typed', 200)['name'] == 'p'
        for name, kind, prefix in ('p', 'typed', 'hw_'), ('hw_p', 'bare', 'None'):
            assert get(name, f'resource_type={kind}', 404) == (
                f'Property {name} does not start with the expected resource type association '
                f"prefix of '{prefix}'.")
        get('hw_x', 'resource_type=typed', 404)
        get('hw_p', 'resource_type=unknown', 404)
        get('hw_p', '', 404)
        assert get('p', 'foo=1', 200)['name'] == 'p'


class TestTags:

    def names(self, app, query=''):
        return [each['name'] for each in app.get(f'{NS}/tags{query}').json['tags']]

    def send(self, admin, *names, append=None, status=201):
        return admin.post_json(
            f'{NS}/tags', {'tags': [{'name': name} for name in names]}, status=status,
            headers={} if append is None else {'X-Openstack-Append': append})

    def test_a_tag_is_answered_with_its_times(self, admin, app):
        created = admin.post(f'{NS}/tags/blue', status=201).json

        assert created.keys() == {'name', 'created_at', 'updated_at'}
        assert app.get(f'{NS}/tags/blue').json == created
        assert app.get(f'{NS}/tags').json == {'tags': [{'name': 'blue'}]}

    def test_a_name_is_not_too_long(self, admin):
        admin.post(f'{NS}/tags/{"x" * 80}', status=201)
        admin.post(f'{NS}/tags/{"x" * 81}', status=400)

    @pytest.mark.parametrize('append', [None, 'no', '', 'false', '2'])
    def test_tags_are_replaced_by_default_protected_or_not(self, admin, append):
        self.send(admin, 'old', 'kept')
        protect(admin)

        answer = self.send(admin, 'new', 'kept', append=append)

        assert answer.json == {'tags': [{'name': 'new'}, {'name': 'kept'}]}
        assert set(self.names(admin)) == {'new', 'kept'}

    @pytest.mark.parametrize('append', ['1', 't', 'True', 'ON', 'y', 'yes'])
    def test_tags_are_added_on_request(self, admin, append):
        self.send(admin, 'old')

        assert self.send(admin, 'new', append=append).json == {'tags': [{'name': 'new'}]}

        assert set(self.names(admin)) == {'old', 'new'}

    def test_nothing_changes_if_one_of_the_tags_exists(self, admin):
        self.send(admin, 'old')

        self.send(admin, 'new', 'old', append='true', status=409)
        self.send(admin, 'new', 'new', append='true', status=409)
        self.send(admin, 'new', 'new', status=409)

        assert self.names(admin) == ['old']

    def test_no_tags_change_nothing(self, admin):
        self.send(admin, 'old')

        assert self.send(admin).json == {'tags': []}

        assert self.names(admin) == ['old']

    @pytest.mark.parametrize('body', [
        {}, {'tags': [{}]}, {'tags': {'name': 'x'}}, {'tags': [{'name': 'x', 'id': 1}]},
        {'tags': [{'name': 'x' * 81}]}, {'tags': ['x']}, {'tags': [], 'more': 1}])
    def test_other_bodies_are_refused(self, admin, body):
        admin.post_json(f'{NS}/tags', body, status=400)

    def test_case_matters(self, admin):
        self.send(admin, 'red', 'RED')

        assert sorted(self.names(admin)) == ['RED', 'red']

    @pytest.mark.parametrize(('query', 'listed'), [
        ('', 'cab'), ('?sort_key=name&sort_dir=asc', 'abc'), ('?sort_key=name', 'cba'),
        ('?sort_dir=asc', 'bac'), ('?limit=2', 'ca'), ('?limit=0', ''), ('?marker=c', 'ab'),
        ('?marker=a&limit=1', 'b'), ('?marker=b', ''),
        ('?sort_key=updated_at&sort_dir=asc', 'bac')])
    def test_parameters_of_the_listing(self, admin, add, query, listed):
        for name in 'bac':
            add('tags', name)

        assert self.names(admin, query) == list(listed)

    @pytest.mark.parametrize(('query', 'status'), [
        ('limit=-1', 400), ('limit=x', 400), ('sort_key=owner', 400), ('sort_dir=up', 400),
        ('marker=none', 404)])
    def test_invalid_parameters_are_refused(self, app, query, status):
        app.get(f'{NS}/tags?{query}', status=status)


class TestResourceTypes:

    FULL = {'name': 'OS::Cinder::Volume', 'prefix': 'hw_', 'properties_target': 'image'}

    def test_an_association_is_answered_with_its_times(self, admin, app):
        created = admin.post_json(f'{NS}/resource_types', self.FULL, status=201).json

        assert created.keys() == {*self.FULL, 'created_at', 'updated_at'}
        assert created.items() >= self.FULL.items()
        assert app.get(f'{NS}/resource_types').json == {'resource_type_associations': [created]}

    def test_a_type_stays_known_without_associations(self, admin, app):
        admin.post_json(f'{NS}/resource_types', self.FULL)

        admin.delete(f'{NS}/resource_types/OS::Cinder::Volume', status=204)

        assert app.get(f'{NS}/resource_types').json == {'resource_type_associations': []}
        known, = app.get('/v2/metadefs/resource_types').json['resource_types']
        assert known.keys() == {'name', 'created_at', 'updated_at'}
        assert known['name'] == 'OS::Cinder::Volume'
        answer = admin.delete(f'{NS}/resource_types/OS::Cinder::Volume', headers=JSON, status=404)
        assert error(answer) == 'Failed to find resource type OS::Cinder::Volume to delete'

    def test_there_is_one_association_with_a_type(self, admin):
        admin.post_json(f'{NS}/resource_types', self.FULL)

        admin.post_json(f'{NS}/resource_types', {'name': 'OS::Cinder::Volume'}, status=409)

        shown, = admin.get(f'{NS}/resource_types').json['resource_type_associations']
        assert shown['prefix'] == 'hw_'

    def test_a_protected_namespace_keeps_its_associations(self, admin):
        admin.post_json(f'{NS}/resource_types', self.FULL)
        protect(admin)

        admin.delete(f'{NS}/resource_types/OS::Cinder::Volume', status=403)
        admin.delete(f'{NS}/resource_types/none', status=404)
        admin.post_json(f'{NS}/resource_types', {'name': 'other'}, status=201)

    @pytest.mark.parametrize('body', [
        {}, {'name': 'x' * 81}, {'name': 'x', 'prefix': 'x' * 81}, {'name': 'x', 'self': 'y'},
        {'name': 'x', 'properties_target': 'x' * 81}])
    def test_what_the_schema_forbids_is_refused(self, admin, body):
        assert error(admin.post_json(f'{NS}/resource_types', body, headers=JSON, status=400)) \
            .startswith("Provided object does not match schema 'resource_type_association': ")

    def test_times_are_read_only(self, admin):
        admin.post_json(f'{NS}/resource_types', {'created_at': 'x'}, status=403)
