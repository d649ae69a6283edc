"""openstacksdk: operations on images, and errors."""

import io
import urllib.parse

import pytest
from keystoneauth1 import discover
from openstack import exceptions

from tests.clients import case


class Stories:

    def setUp(self):
        super().setUp()
        self.images = self.service.sdk().image

    def test_the_image_api_is_discovered(self):
        discovered = discover.Discover(self.images.session, self.service.url)

        assert discovered.url_for('2') == f'{self.service.url}/v2/'
        assert discovered.versioned_data_for(min_version='2.17')['version'] == (2, 17)

    def test_an_image_is_uploaded_from_a_file_and_verified(self):
        data = case.random_data()

        image = self.images.create_image(
            'from a file', filename=str(self.file(data)), disk_format='raw',
            container_format='bare', tags=['b', 'a'], os_type='linux', min_ram=128,
            visibility='private', validate_checksum=True, allow_duplicates=True)

        self.addCleanup(self.remove, image.id)
        assert (image.status, image.size) == ('active', len(data))
        assert (image.hash_algo, image.hash_value) == ('sha512', case.sha512(data))
        assert sorted(image.tags) == ['a', 'b']
        assert (image.os_type, image.min_ram) == ('linux', 128)

    def test_creating_the_same_image_twice_creates_it_once(self):
        file = str(self.file(case.random_data()))
        first = self.images.create_image(self.id(), filename=file, disk_format='raw',
                                         visibility='private', validate_checksum=True)
        self.addCleanup(self.remove, first.id)

        second = self.images.create_image(self.id(), filename=file, disk_format='raw',
                                          visibility='private', validate_checksum=True)

        assert second.id == first.id

    def test_a_download_is_what_was_uploaded(self):
        data = case.random_data(3_000_001)
        image_id = self.image(data)
        copy = self.home / 'copy'

        at_once = self.images.download_image(image_id).content
        in_pieces = case.sha512(
            self.images.download_image(image_id, stream=True).iter_content(1 << 16))
        self.images.download_image(image_id, output=str(copy))

        assert at_once == data
        assert in_pieces == case.sha512(data)
        assert copy.read_bytes() == data

    def test_data_that_changed_on_the_disk_is_detected(self):
        image_id = self.image(case.random_data())
        stored = self.service.stored / image_id
        stored.write_bytes(case.random_data())

        with pytest.raises(exceptions.InvalidResponse, match='checksum mismatch'):
            self.images.download_image(image_id)

    def test_a_part_can_be_read(self):
        data = case.random_data()
        path = f'/images/{self.image(data)}/file'

        part = self.images.get(path, headers={'Range': 'bytes=1000-1999'})
        end = self.images.get(path, headers={'Range': 'bytes=-7'})
        beyond = self.images.get(path, headers={'Range': 'bytes=300000-'})

        assert (part.status_code, part.content) == (206, data[1000:2000])
        assert part.headers['Content-Range'] == 'bytes 1000-1999/300000'
        assert (end.status_code, end.content) == (206, data[-7:])
        assert beyond.status_code == 416

    def test_attributes_properties_and_tags_are_changed(self):
        image_id = self.image(os_type='linux', hw_vif='e1000')

        self.images.update_image(image_id, name='renamed', min_disk=3, os_type='freebsd')
        self.images.add_tag(image_id, 'v1.0')
        self.images.add_tag(image_id, 'with space')
        self.images.remove_tag(image_id, 'v1.0')
        image = self.images.get_image(image_id)

        assert (image.name, image.min_disk, image.os_type) == ('renamed', 3, 'freebsd')
        assert image.properties['hw_vif'] == 'e1000'
        assert image.tags == ['with space']

    def test_a_list_is_filtered_and_sorted(self):
        mark = case.new_id()
        sizes = {self.image(b'x' * size, tags=[mark]): size for size in (10, 30, 20)}
        waiting = self.image(tags=[mark], disk_format='qcow2')

        by_size = [image.id for image in self.images.images(
            tag=mark, status='active', sort='size:desc')]
        larger = [image.size for image in self.images.images(
            tag=mark, size_min=15, sort='size:asc')]
        wrapped = [image.id for image in self.images.images(tag=mark, disk_format='qcow2')]
        either = {image.id for image in self.images.images(
            tag=mark, status='in:queued,saving')}

        assert by_size == sorted(sizes, key=sizes.get, reverse=True)
        assert larger == [20, 30]
        assert wrapped == [waiting]
        assert either == {waiting}

    def test_thirty_images_are_listed_in_pages_of_seven(self):
        mark = case.new_id()
        made = [self.image(tags=[mark], name=f'{number:02}') for number in range(31)]

        listed = [image.id for image in self.images.images(tag=mark, limit=7, sort='name:asc')]
        after = [image.id for image in self.images.images(tag=mark, marker=made[20],
                                                          sort='name:asc', paginated=False)]

        assert listed == made
        assert after == made[21:]

    def test_an_image_is_found_by_its_name(self):
        image_id = self.image(name=case.new_id())

        image = self.images.find_image(self.images.get_image(image_id).name)

        assert image.id == image_id
        assert self.images.find_image('there is none') is None

    def test_a_deactivated_image_is_shown_so_and_can_be_reactivated(self):
        image_id = self.image(b'data')

        self.images.deactivate_image(image_id)
        between = self.images.get_image(image_id).status
        self.images.reactivate_image(image_id)

        assert between == 'deactivated'
        assert self.images.get_image(image_id).status == 'active'

    def test_a_protected_image_cannot_be_deleted(self):
        image_id = self.image(b'data', protected=True)

        with pytest.raises(exceptions.ForbiddenException,
                           match='is protected and cannot be deleted'):
            self.images.delete_image(image_id)

        self.images.update_image(image_id, is_protected=False)
        self.images.delete_image(image_id)
        assert self.images.find_image(image_id) is None

    def test_a_deleted_image_is_not_found_and_its_id_cannot_be_reused(self):
        image_id = self.image(b'data')

        self.images.delete_image(image_id)

        with pytest.raises(exceptions.NotFoundException,
                           match=f'No image found with ID {image_id}'):
            self.images.get_image(image_id)
        with pytest.raises(exceptions.NotFoundException):
            self.images.delete_image(image_id, ignore_missing=False)
        assert self.request('POST', '/v2/images', {'id': image_id}).status == 409

    def test_a_second_upload_is_refused_and_changes_nothing(self):
        image_id = self.image(b'first')

        refused = self.images.put(f'/images/{image_id}/file', data=b'second', headers={
            'Content-Type': 'application/octet-stream'})

        assert refused.status_code == 409
        assert self.images.download_image(image_id).content == b'first'

    def test_a_stream_of_unknown_length_is_uploaded(self):
        image_id, data = self.image(), case.random_data(2_000_000)
        source = io.BytesIO(data)
        chunks = iter(lambda: source.read(70_000), b'')

        self.images.put(f'/images/{image_id}/file', data=chunks, headers={
            'Content-Type': 'application/octet-stream'})

        image = self.images.get_image(image_id)
        assert (image.status, image.size) == ('active', len(data))
        assert image.hash_value == case.sha512(data)

    def test_the_schemas_are_parsed(self):
        schema = self.images.get_image_schema()

        assert schema.properties['visibility']['enum'] == [
            'community', 'public', 'private', 'shared']
        assert self.images.get_member_schema().name == 'member'

    def test_an_unknown_value_is_explained(self):
        with pytest.raises(exceptions.BadRequestException, match='disk_format'):
            self.images.create_image('wrong', disk_format='floppy', allow_duplicates=True)

    def test_any_tag_can_be_addressed(self):
        image_id = self.image()
        tag = 'größe:1%'

        self.images.put(f'/images/{image_id}/tags/{urllib.parse.quote(tag)}')

        assert self.images.get_image(image_id).tags == [tag]


class TestEmbedded(Stories, case.Embedded, case.Case):
    pass


class TestWithKeystone(Stories, case.WithKeystone, case.Case):

    def test_the_image_api_is_found_in_the_catalog(self):
        endpoint = self.images.get_endpoint_data()

        assert endpoint.api_version[0] == 2
        assert endpoint.url == f'{self.service.url}/v2/'
