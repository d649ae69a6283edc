"""python-glanceclient as a library, as Nova, Cinder and Ironic use it."""

import io

import pytest
from glanceclient import exc

from tests.clients import case


class Stories:

    def setUp(self):
        super().setUp()
        self.glance = self.service.glance()

    def test_a_snapshot_is_created_uploaded_and_read_as_nova_does(self):
        data, image_id = case.random_data(1_000_000), case.new_id()
        self.addCleanup(self.remove, image_id)

        made = self.glance.images.create(
            id=image_id, name='snapshot', disk_format='raw', container_format='bare',
            visibility='private', min_disk=1, instance_uuid=case.new_id(), image_type='snapshot')
        self.glance.images.upload(image_id, io.BytesIO(data), image_size=len(data))
        image = self.glance.images.get(image_id)
        fetched = b''.join(self.glance.images.data(image_id))

        assert (made.id, made.status, made.size) == (image_id, 'queued', None)
        assert (image.status, image.size) == ('active', len(data))
        assert (image.image_type, image.min_disk) == ('snapshot', 1)
        assert image.os_hash_value == case.sha512(data)
        assert fetched == data

    def test_a_volume_is_uploaded_without_its_size_as_cinder_does(self):
        data = case.random_data(1_000_000)
        image = self.glance.images.create(name='volume', disk_format='raw',
                                          container_format='bare', visibility='private')
        self.addCleanup(self.remove, image.id)

        self.glance.images.upload(image.id, io.BytesIO(data))

        chunks = self.glance.images.data(image.id)
        assert len(chunks) == len(data)
        assert case.sha512(chunks) == case.sha512(data)

    def test_data_that_changed_on_the_disk_is_detected(self):
        image_id = self.image(case.random_data())
        (self.service.stored / image_id).write_bytes(case.random_data())

        with pytest.raises(OSError, match='Corrupt image download'):
            list(self.glance.images.data(image_id))

    def test_an_image_without_data_has_no_download(self):
        image_id = self.image()

        assert self.glance.images.data(image_id).wrapped is None

    def test_a_list_has_pages(self):
        mark = case.new_id()
        made = [self.image(tags=[mark], name=f'{number:02}') for number in range(31)]
        wanted = {'filters': {'tag': [mark]}, 'sort': 'name:asc'}

        everything = [image.id for image in self.glance.images.list(page_size=4, **wanted)]
        first = [image.id for image in self.glance.images.list(page_size=4, limit=6, **wanted)]
        rest = [image.id for image in self.glance.images.list(marker=made[27], **wanted)]
        backwards = [image.id for image in self.glance.images.list(
            filters={'tag': [mark]}, sort_key=['name'], sort_dir=['desc'], limit=3)]

        assert everything == made
        assert first == made[:6]
        assert rest == made[28:]
        assert backwards == made[:-4:-1]

    def test_a_list_is_filtered_by_tags_and_properties(self):
        mark = case.new_id()
        both = self.image(tags=[mark, 'x'], os_type='linux')
        self.image(tags=[mark], os_type='linux')
        self.image(tags=[mark, 'x'], os_type='freebsd')

        images = self.glance.images.list(filters={'tag': [mark, 'x'], 'os_type': 'linux'})

        assert [image.id for image in images] == [both]

    def test_an_image_is_updated_through_its_schema(self):
        image_id = self.image(os_type='linux', hw_vif='e1000')

        image = self.glance.images.update(image_id, remove_props=['hw_vif'], name='renamed',
                                          min_ram=64, os_type='freebsd', tags=['a', 'b'],
                                          architecture='x86_64')

        assert (image.name, image.min_ram, image.os_type) == ('renamed', 64, 'freebsd')
        assert image.architecture == 'x86_64'
        assert sorted(image.tags) == ['a', 'b']
        assert 'hw_vif' not in image

    def test_the_client_does_not_send_what_the_schema_forbids(self):
        with pytest.raises(TypeError, match='Unable to set'):
            self.glance.images.create(name='wrong', min_ram='much')

    def test_the_schemas_are_what_the_client_expects(self):
        image = self.glance.schemas.get('image')
        member = self.glance.schemas.get('member')

        assert image.is_core_property('os_hash_value')
        assert image.is_base_property('name')
        assert not image.is_base_property('my_own')
        assert member.is_core_property('member_id')

    def test_tags_are_added_and_removed(self):
        image_id = self.image()

        self.glance.image_tags.update(image_id, 'v1.0')
        self.glance.image_tags.update(image_id, 'a b')
        self.glance.image_tags.delete(image_id, 'v1.0')

        assert self.glance.images.get(image_id).tags == ['a b']
        with pytest.raises(exc.HTTPNotFound):
            self.glance.image_tags.delete(image_id, 'v1.0')

    def test_an_image_is_deactivated_and_reactivated(self):
        image_id = self.image(b'data')

        self.glance.images.deactivate(image_id)
        between = self.glance.images.get(image_id).status
        self.glance.images.reactivate(image_id)

        assert between == 'deactivated'
        assert self.glance.images.get(image_id).status == 'active'

    def test_members_are_added_listed_and_removed(self):
        image_id, other = self.image(visibility='shared'), self.service.other_project

        made = self.glance.image_members.create(image_id, other)
        listed = [member.member_id for member in self.glance.image_members.list(image_id)]
        self.glance.image_members.delete(image_id, other)

        assert (made.member_id, made.status) == (other, 'pending')
        assert listed == [other]
        assert list(self.glance.image_members.list(image_id)) == []

    def test_errors_become_exceptions_of_the_client(self):
        image_id = self.image(b'data', protected=True)

        for error, words, act in (
                (exc.HTTPForbidden, 'is protected and cannot be deleted',
                 lambda: self.glance.images.delete(image_id)),
                (exc.HTTPNotFound, 'No image found with ID nowhere',
                 lambda: self.glance.images.get('nowhere')),
                (exc.HTTPConflict, "has the status 'active'",
                 lambda: self.glance.images.upload(image_id, io.BytesIO(b'more'))),
                (exc.HTTPForbidden, 'read-only',
                 lambda: self.glance.http_client.patch(
                     f'/v2/images/{image_id}',
                     headers={'Content-Type': 'application/openstack-images-v2.1-json-patch'},
                     data='[{"op": "replace", "path": "/size", "value": 1}]'))):
            with pytest.raises(error, match=words):
                act()

    def test_all_versions_are_listed(self):
        versions = list(self.glance.versions.list())

        assert versions[0]['id'].startswith('v2.')
        assert [version['id'] for version in versions if version['status'] == 'CURRENT'] == [
            'v2.17']


class TestEmbedded(Stories, case.Embedded, case.Case):
    pass


class TestWithKeystone(Stories, case.WithKeystone, case.Case):
    pass
