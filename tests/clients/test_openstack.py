"""The ``openstack`` command: the life of an image."""

import pytest

from tests.clients import case


class Stories:

    def test_an_image_is_created_found_changed_shared_downloaded_and_deleted(self):
        openstack = self.service.openstack(self.home)
        data = case.random_data()
        image_id, copy = case.new_id(), self.home / 'copy'
        self.addCleanup(self.remove, image_id)

        made = openstack.json(
            'image', 'create', '--id', image_id, '--progress', '--file', self.file(data),
            '--disk-format', 'raw', '--container-format', 'bare', '--shared', '--property',
            'os_type=linux', '--property', 'hw_vif=virtio', '--tag', 'lts', '--tag', '24.04',
            '--min-ram', 256, '--protected', image_id)
        assert made['id'] == image_id
        assert sorted(made['tags']) == ['24.04', 'lts']

        openstack('image', 'set', '--name', 'renamed', '--property', 'os_type=freebsd', '--tag',
                  'bsd', '--min-disk', 2, image_id)
        openstack('image', 'unset', '--property', 'hw_vif', '--tag', 'lts', image_id)
        listed = openstack.json('image', 'list', '--property', 'os_type=freebsd', '--tag', 'bsd',
                                '--long', '--sort', 'name:desc')
        assert [(image['ID'], image['Status'], image['Size'], sorted(image['Tags']))
                for image in listed] == [(image_id, 'active', len(data), ['24.04', 'bsd'])]

        output = openstack('image', 'delete', image_id, fails=True)
        assert 'is protected and cannot be deleted' in output
        openstack('image', 'set', '--unprotected', '--deactivate', image_id)
        openstack('image', 'set', '--activate', image_id)
        self.share(openstack, image_id)

        openstack('image', 'save', '--file', copy, image_id)
        assert copy.read_bytes() == data
        shown = openstack.json('image', 'show', image_id)
        assert (shown['name'], shown['min_disk'], shown['min_ram']) == ('renamed', 2, 256)
        assert shown['properties']['os_hash_value'] == case.sha512(data)
        assert 'hw_vif' not in shown['properties']

        openstack('image', 'delete', image_id)
        output = openstack('image', 'show', image_id, fails=True)
        assert f'No Image found for {image_id}' in output


@pytest.mark.long
class TestEmbedded(Stories, case.Embedded, case.Case):

    def share(self, openstack, image_id):
        """The command cannot do it without Keystone: it looks the project up there."""


class TestWithKeystone(Stories, case.WithKeystone, case.Case):

    def share(self, openstack, image_id):
        other = self.service.other_project
        openstack('image', 'add', 'project', image_id, other)
        members = openstack.json('image', 'member', 'list', image_id)
        assert [(member['Member ID'], member['Status']) for member in members] == [
            (other, 'pending')]

    def test_a_reader_gets_a_message_that_it_is_forbidden(self):
        output = self.service.openstack(self.home, 'alpha-reader')(
            'image', 'create', '--disk-format', 'raw', 'mine', fails=True)

        assert 'HTTP 403' in output or 'Forbidden' in output, output
