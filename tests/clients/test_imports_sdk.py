"""openstacksdk: imports with each method, and their tasks."""

import pytest
from openstack import exceptions

from tests.clients import case
from tests.servers import keystone


class TestImports(case.WithImports, case.Case):

    def setUp(self):
        super().setUp()
        self.images = self.service.sdk().image
        self.administrator = self.service.sdk('alpha-admin').image

    def new(self, **attributes):
        return self.images.get_image(self.image(**attributes))

    def create(self, **arguments):
        image = self.images.create_image(
            self.id(), disk_format='raw', container_format='bare', allow_duplicates=True,
            **arguments)
        self.addCleanup(self.remove, image.id)
        return image

    def wait(self, image):
        """Wait for the image as users do; then for the end of the import."""
        self.images.wait_for_status(image, 'active', failures=[], interval=0.1, wait=60)
        self.imported(image.id)
        return self.images.get_image(image)

    def test_the_methods_are_shown(self):
        assert self.images.get_import_info().import_methods['value'] == [
            'glance-direct', 'web-download', 'copy-image', 'glance-download']

    def test_an_image_is_created_with_an_import(self):
        data = case.random_data()

        image = self.wait(self.create(filename=str(self.file(data)), use_import=True))

        assert (image.size, image.hash_value) == (len(data), case.sha512(data))
        assert image.properties['stores'] == 'fast'

    def test_an_image_is_created_in_all_stores(self):
        data = case.random_data()

        image = self.wait(self.create(
            filename=str(self.file(data)), all_stores=True, all_stores_must_succeed=True))

        assert image.hash_value == case.sha512(data)
        assert case.stores(image.properties) == {'fast', 'cold'}

    def test_data_is_staged_and_imported_into_one_store(self):
        data, image = case.random_data(), self.new()

        staged = self.images.stage_image(image, filename=str(self.file(data)))
        answer = self.images.import_image(image, stores=['cold'])

        assert (staged.status, staged.size) == ('uploading', len(data))
        assert (answer.status_code, answer.content) == (202, b'')
        image = self.wait(image)
        assert (image.hash_value, image.properties['stores']) == (case.sha512(data), 'cold')

    def test_a_url_is_downloaded(self):
        data, image = case.random_data(), self.new()

        self.images.import_image(image, 'web-download', uri=self.published(data),
                                 stores=['fast', 'cold'])

        image = self.wait(image)
        assert image.hash_value == case.sha512(data)
        assert case.stores(image.properties) == {'fast', 'cold'}

    def test_an_image_of_a_region_is_imported(self):
        data = case.random_data()
        remote_id, image = self.image(data, hw_disk_bus='scsi'), self.new()

        self.images.import_image(
            image, 'glance-download', remote_region=keystone.REGION, remote_image_id=remote_id,
            remote_service_interface='public')

        image = self.wait(image)
        assert (image.hash_value, image.hw_disk_bus) == (case.sha512(data), 'scsi')

    def test_an_active_image_is_copied_into_all_stores(self):
        data = case.random_data()
        image = self.new(data=data)

        refused = self.images.import_image(image, 'copy-image', all_stores=True)
        first = self.administrator.import_image(image, 'copy-image', all_stores=True)
        copied = self.imported(image.id)
        second = self.administrator.import_image(image, 'copy-image', all_stores=True)

        assert (refused.status_code, first.status_code, second.status_code) == (403, 202, 202)
        assert (copied['status'], case.stores(copied)) == ('active', {'fast', 'cold'})
        tasks = list(self.administrator.image_tasks(image))
        assert [(task.type, task.status) for task in tasks] == [('api_image_import', 'success')]

    def test_images_in_the_wrong_status_are_refused(self):
        queued, active = self.new(), self.new(data=b'data')

        direct = self.images.import_image(queued)
        web = self.images.import_image(active, 'web-download', uri=self.published(b'data'))
        copy = self.administrator.import_image(queued, 'copy-image', all_stores=True)

        assert [direct.status_code, web.status_code, copy.status_code] == [409, 409, 409]
        with pytest.raises(exceptions.ConflictException, match="'active'"):
            exceptions.raise_from_response(web)

    def test_an_unknown_store_is_refused(self):
        answer = self.images.import_image(self.new(), 'web-download',
                                          uri=self.published(b'data'), stores=['nowhere'])

        assert answer.status_code == 409
        assert 'nowhere' in answer.text

    def test_the_tasks_of_an_image_are_listed(self):
        image = self.new()
        self.images.stage_image(image, filename=str(self.file(case.random_data())))
        self.images.import_image(image)
        self.wait(image)

        [task] = self.images.image_tasks(image)

        assert (task.type, task.status, task.image_id) == (
            'api_image_import', 'success', image.id)
        assert (task.user_id, task.message) == (
            self.service.keystone.users[self.service.me], '')

    def test_a_task_is_created_found_and_waited_for(self):
        data = case.random_data()

        made = self.administrator.create_task(type='import', input={
            'import_from': self.published(data), 'import_from_format': 'raw',
            'image_properties': {'name': self.id()}})
        task = self.administrator.wait_for_task(made, interval=0.1)

        self.addCleanup(self.remove, task.result['image_id'], 'alpha-admin')
        listed = [each.id for each in self.administrator.tasks(status='success', limit=2)]
        assert made.id in listed
        assert self.administrator.get_task(made.id).status == 'success'
        assert self.images.get_image(task.result['image_id']).hash_value == case.sha512(data)
        with pytest.raises(exceptions.ForbiddenException):
            list(self.images.tasks())

    def test_a_task_that_fails_has_a_reason(self):
        self.published(b'')
        self.service.web.site.statuses.append(404)
        made = self.administrator.create_task(type='import', input={
            'import_from': f'{self.service.web.url}/none', 'import_from_format': 'raw',
            'image_properties': {'name': self.id()}})

        with pytest.raises(exceptions.ResourceFailure, match='failure'):
            self.administrator.wait_for_task(made, interval=0.1)

        task = self.ended(made.id)
        assert '404' in task['message']
        [image] = self.administrator.images(name=self.id())
        self.addCleanup(self.remove, image.id, 'alpha-admin')
        assert image.status == 'queued'
