"""The ``openstack`` command: imports with each method, and their tasks."""

from tests.clients import case
from tests.servers import keystone


class TestImports(case.WithImports, case.Case):

    def setUp(self):
        super().setUp()
        self.openstack = self.service.openstack(self.home)

    def new(self, **attributes):
        """Id and name of a new image."""
        name = case.new_id()
        return self.image(name=name, **attributes), name

    def test_the_methods_are_shown(self):
        assert self.openstack.json('image', 'import', 'info') == {'import-methods': [
            'glance-direct', 'web-download', 'copy-image', 'glance-download']}

    def test_an_image_is_created_with_an_import(self):
        data, image_id, name = case.random_data(), case.new_id(), case.new_id()
        self.addCleanup(self.remove, image_id)

        made = self.openstack.json('image', 'create', '--id', image_id, '--import', '--file',
                                   self.file(data), '--tag', 'lts', name)

        image = self.imported(image_id)
        assert (made['id'], made['size']) == (image_id, len(data))
        assert (image['status'], image['os_hash_value']) == ('active', case.sha512(data))
        assert (image['stores'], image['tags']) == ('fast', ['lts'])
        self.openstack('image', 'save', '--file', self.home / 'copy', name)
        assert (self.home / 'copy').read_bytes() == data

    def test_data_is_staged_from_a_file_and_imported_into_all_stores(self):
        data = case.random_data()
        image_id, name = self.new()

        self.openstack('image', 'stage', '--file', self.file(data), '--progress', name)
        staged = self.openstack.json('image', 'show', name)
        self.openstack('image', 'import', '--all-stores', '--wait', name)

        image = self.imported(image_id)
        assert (staged['status'], staged['size']) == ('uploading', len(data))
        assert (image['status'], image['os_hash_value']) == ('active', case.sha512(data))
        assert case.stores(image) == {'fast', 'cold'}

    def test_data_is_staged_from_a_pipe_and_imported_into_one_store(self):
        data = case.random_data()
        image_id, name = self.new()

        self.openstack('image', 'stage', '--size', len(data), name, stdin=self.file(data))
        self.openstack('image', 'import', '--method', 'glance-direct', name, '--store', 'cold')

        image = self.imported(image_id)
        assert (image['status'], image['os_hash_value']) == ('active', case.sha512(data))
        assert image['stores'] == 'cold'

    def test_a_url_is_downloaded(self):
        data = case.random_data()
        image_id, name = self.new()

        self.openstack('image', 'import', '--method', 'web-download', '--uri',
                       self.published(data), name, '--store', 'cold', 'fast')

        image = self.imported(image_id)
        assert (image['status'], image['os_hash_value']) == ('active', case.sha512(data))
        assert case.stores(image) == {'fast', 'cold'}

    def test_an_active_image_is_copied_into_the_other_stores(self):
        administrator = self.service.openstack(self.home, 'alpha-admin')
        data = case.random_data()
        image_id = self.image(data)

        administrator('image', 'import', '--method', 'copy-image', '--all-stores', image_id)

        image = self.imported(image_id)
        assert (image['status'], case.stores(image)) == ('active', {'fast', 'cold'})
        assert (self.service.cold / image_id).read_bytes() == data

    def test_an_image_of_a_region_is_imported(self):
        data = case.random_data()
        remote_id = self.image(data, container_format='ovf', hw_disk_bus='scsi', note='not copied')
        image_id, name = self.new()

        self.openstack('image', 'import', '--method', 'glance-download', '--remote-region',
                       keystone.REGION, '--remote-image', remote_id,
                       '--remote-service-interface', 'public', name)

        image = self.imported(image_id)
        assert (image['status'], image['os_hash_value']) == ('active', case.sha512(data))
        assert (image['container_format'], image['hw_disk_bus']) == ('ovf', 'scsi')
        assert 'note' not in image

    def test_a_store_that_fails_is_named_and_the_others_have_the_image(self):
        image_id, name = self.new()
        self.openstack('image', 'stage', '--file', self.file(case.random_data()), name)

        with self.broken_store():
            self.openstack('image', 'import', '--all-stores', '--allow-failure', name)
            image = self.imported(image_id)

        assert (image['status'], image['stores']) == ('active', 'fast')
        assert image['os_glance_failed_import'] == 'cold'

    def test_an_import_that_failed_in_one_store_is_undone_and_can_be_repeated(self):
        data = case.random_data()
        image_id, name = self.new()
        self.openstack('image', 'stage', '--file', self.file(data), name)

        with self.broken_store():
            self.openstack('image', 'import', '--all-stores', '--disallow-failure', name)
            failed = self.imported(image_id)
        self.openstack('image', 'import', '--all-stores', '--disallow-failure', name)

        image = self.imported(image_id)
        assert (failed['status'], failed.get('stores', '')) == ('uploading', '')
        assert 'cold' in failed['os_glance_failed_import']
        assert (image['status'], case.stores(image)) == ('active', {'fast', 'cold'})
        assert image['os_glance_failed_import'] == ''
        assert image['os_hash_value'] == case.sha512(data)

    def test_an_image_in_the_wrong_status_is_refused(self):
        _, name = self.new()

        output = self.openstack('image', 'import', name, fails=True)

        assert "an image in status 'uploading'" in output

    def test_administrators_see_the_tasks(self):
        administrator = self.service.openstack(self.home, 'alpha-admin')
        image_id, name = self.new()
        url = self.published(case.random_data())
        self.openstack('image', 'import', '--method', 'web-download', '--uri', url, name)
        self.imported(image_id)

        listed = administrator.json('image', 'task', 'list', '--status', 'success',
                                    '--sort-key', 'created_at', '--sort-dir', 'desc')
        shown = administrator.json('image', 'task', 'show', listed[0]['ID'])
        refused = self.openstack('image', 'task', 'list', fails=True)

        assert (listed[0]['Type'], listed[0]['Status'], listed[0]['Owner']) == (
            'api_image_import', 'success', self.service.project)
        assert (shown['status'], shown['message']) == ('success', '')
        assert shown['input']['import_req']['method'] == {'name': 'web-download', 'uri': url}
        assert shown['result'] == {'image_id': image_id}
        assert '403' in refused
