"""The ``glance`` command: the life of an image."""

import hashlib

import pytest

from tests.clients import case


class Stories:

    def test_an_image_is_created_found_changed_shared_downloaded_and_deleted(self):
        glance = self.service.glance_command(self.home)
        data = case.random_data()
        image_id, other, copy = case.new_id(), self.service.other_project, self.home / 'copy'
        self.addCleanup(self.remove, image_id)

        made = glance.on_terminal(
            'image-create', '--id', image_id, '--name', 'one', '--progress', '--file',
            self.file(data), '--disk-format', 'raw', '--container-format', 'bare',
            '--visibility', 'shared', '--property', 'os_type=linux', '--tags', 'lts',
            '--min-ram', 256)
        assert hashlib.md5(data).hexdigest() in made
        assert '=>] 100%' in made
        assert '| active' in made

        glance('image-update', '--name', 'renamed', '--property', 'hw_vif=virtio',
               '--remove-property', 'os_type', '--protected', 'true', image_id)
        glance('image-tag-update', image_id, 'v2.06')
        listed = glance('image-list', '--property-filter', 'name=renamed', '--tag', 'v2.06',
                        '--page-size', 1, '--sort', 'name:asc')
        assert listed.count('\n|') == 2
        assert image_id in listed

        output = glance('image-delete', image_id, fails=True)
        assert 'You are not permitted to delete the image' in output
        glance('image-update', '--protected', 'false', image_id)
        glance('image-deactivate', image_id)
        glance('image-reactivate', image_id)
        glance('member-create', image_id, other)
        members = glance('member-list', '--image-id', image_id)
        assert other in members
        assert 'pending' in members

        glance('image-download', '--progress', '--file', copy, image_id)
        assert copy.read_bytes() == data
        shown = glance('image-show', image_id)
        assert 'hw_vif' in shown
        assert 'os_type' not in shown

        glance('image-delete', image_id)
        output = glance('image-show', image_id, fails=True)
        assert f'HTTP 404 Not Found: No image found with ID {image_id}' in output

    def test_the_image_api_is_negotiated(self):
        output = self.service.glance_command(self.home)('--os-image-api-version', 2, 'image-list')

        assert '| ID' in output


@pytest.mark.long
class TestEmbedded(Stories, case.Embedded, case.Case):
    pass


class TestWithKeystone(Stories, case.WithKeystone, case.Case):

    def test_an_invalid_token_is_refused_with_a_message(self):
        command = self.service.glance_command(self.home)

        output = command('--os-auth-token', 'gAAAAAnone', '--os-image-url', self.service.url,
                       'image-list', fails=True)

        assert output == 'Invalid OpenStack Identity credentials.\n'
