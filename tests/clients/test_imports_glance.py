"""The ``glance`` command: imports with each method, and their tasks."""

import json
import re

from tests.clients import case
from tests.servers import keystone


class TestImports(case.WithImports, case.Case):

    def setUp(self):
        super().setUp()
        self.glance = self.service.glance_command(self.home)

    def create(self, *arguments):
        """Create an image with the command ``image-create-via-import``; return its id."""
        image_id = case.new_id()
        self.addCleanup(self.remove, image_id)
        self.glance('image-create-via-import', '--id', image_id, '--name', self.id(),
                    '--disk-format', 'raw', '--container-format', 'bare', *arguments)
        return image_id

    def test_the_methods_are_shown(self):
        output = re.sub(r'[|\s]', '', self.glance('import-info'))     # wrapped within words

        assert '["glance-direct","web-download","copy-image","glance-download"]' in output

    def test_an_image_is_created_from_a_file(self):
        data = case.random_data()

        image = self.imported(self.create('--file', self.file(data)))

        assert (image['status'], image['stores']) == ('active', 'fast')
        assert image['os_hash_value'] == case.sha512(data)

    def test_an_image_is_created_from_a_url_in_several_stores(self):
        data = case.random_data()

        image = self.imported(self.create(
            '--import-method', 'web-download', '--uri', self.published(data),
            '--stores', 'fast,cold'))

        assert (image['status'], case.stores(image)) == ('active', {'fast', 'cold'})
        assert image['os_hash_value'] == case.sha512(data)

    def test_an_image_is_created_from_one_of_a_region(self):
        data = case.random_data()
        remote_id = self.image(data, hw_disk_bus='scsi')

        image = self.imported(self.create(
            '--import-method', 'glance-download', '--remote-region', keystone.REGION,
            '--remote-image-id', remote_id, '--store', 'cold'))

        assert (image['status'], image['stores']) == ('active', 'cold')
        assert (image['os_hash_value'], image['hw_disk_bus']) == (case.sha512(data), 'scsi')

    def test_data_is_staged_and_imported_into_all_stores(self):
        data, image_id = case.random_data(), self.image()

        shown = self.glance.on_terminal('image-stage', '--progress', '--file', self.file(data),
                                        image_id)
        staged = self.glance('image-show', image_id)
        self.glance('image-import', '--all-stores', 'true', '--allow-failure', 'false', image_id)

        image = self.imported(image_id)
        assert '=>] 100%' in shown
        assert re.search(r'status +\| uploading', staged), staged
        assert (image['status'], case.stores(image)) == ('active', {'fast', 'cold'})
        assert image['os_hash_value'] == case.sha512(data)

    def test_a_store_that_fails_is_named_and_the_others_have_the_image(self):
        image_id = self.image()
        url = self.published(case.random_data())

        with self.broken_store():
            self.glance('image-import', '--import-method', 'web-download', '--uri', url,
                        '--stores', 'cold,fast', image_id)
            image = self.imported(image_id)

        assert (image['status'], image['stores']) == ('active', 'fast')
        assert image['os_glance_failed_import'] == 'cold'

    def test_a_copy_that_failed_is_named_and_can_be_repeated(self):
        administrator = self.service.glance_command(self.home, 'alpha-admin')
        data = case.random_data()
        image_id = self.image(data)
        request = 'image-import', '--import-method', 'copy-image', '--stores', 'cold', image_id

        refused = self.glance(*request, fails=True)
        with self.broken_store():
            administrator(*request)
            failed = self.imported(image_id)
        administrator(*request)

        image = self.imported(image_id)
        assert 'HTTP 403' in refused
        assert (failed['status'], failed['stores']) == ('active', 'fast')
        assert failed['os_glance_failed_import'] == 'cold'
        assert (image['status'], case.stores(image)) == ('active', {'fast', 'cold'})
        assert image['os_glance_failed_import'] == ''
        [copy] = self.service.cold.glob(f'{image_id}*')
        assert copy.read_bytes() == data

    def test_an_address_that_is_not_allowed_is_refused(self):
        image_id = self.image()

        output = self.glance('image-import', '--import-method', 'web-download', '--uri',
                             'http://169.254.169.254/latest', image_id, fails=True)

        assert 'HTTP 400' in output
        assert 'does not pass filtering' in output

    def test_the_tasks_of_an_image_show_why_it_failed(self):
        image_id = self.image()
        self.published(b'')
        self.service.web.site.statuses.append(404)
        self.glance('image-import', '--import-method', 'web-download', '--uri',
                    f'{self.service.web.url}/none', image_id)
        image = self.imported(image_id)

        output = self.glance('--verbose', 'image-tasks', image_id)

        assert image['status'] == 'queued'
        assert re.search(r'\| .*404.* \| failure ', output), output
        assert image_id in output

    def test_administrators_create_list_and_show_tasks(self):
        administrator = self.service.glance_command(self.home, 'alpha-admin')
        data, name = case.random_data(), case.new_id()

        made = administrator('task-create', '--type', 'import', '--input', json.dumps({
            'import_from': self.published(data), 'import_from_format': 'raw',
            'image_properties': {'name': name, 'disk_format': 'raw',
                                 'container_format': 'bare'}}))
        task_id = re.search(r'\| id +\| (\S+)', made)[1]
        shown = self.ended(task_id)
        listed = administrator('task-list', '--type', 'import', '--status', 'success',
                               '--sort-key', 'id', '--sort-dir', 'desc', '--page-size', 1)
        displayed = administrator('task-show', task_id)
        refused = self.glance('task-list', fails=True)

        self.addCleanup(self.remove, shown['result']['image_id'], 'alpha-admin')
        assert re.search(rf'\| {task_id} +\| import +\| success', listed), listed
        assert re.search(r'status +\| success', displayed), displayed
        image = json.loads(self.request('GET', f'/v2/images/{shown["result"]["image_id"]}').body)
        assert (image['name'], image['status']) == (name, 'active')
        assert image['os_hash_value'] == case.sha512(data)
        assert 'HTTP 403' in refused
