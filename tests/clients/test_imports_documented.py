"""The commands of README.md and doc/tasks.md that import images work."""

import contextlib
import hashlib
import json
import pathlib
import re
import shlex

from tests.clients import case
from tests.plugins.inspector import images
from tests.servers import keystone

ROOT = pathlib.Path(__file__).parents[2]
README, PAGE = ((ROOT / name).read_text() for name in ('README.md', 'doc/tasks.md'))


def blocks(text, language):
    return re.findall(rf'^```{language}\n(.*?)```', text, re.DOTALL | re.MULTILINE)


def commands(block):
    """The arguments of each ``openstack`` command in a block."""
    lines = block.replace('\\\n', ' ').splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith('openstack ')]


class TestREADME(case.Embedded, case.Case):

    def test_each_command_creates_an_image(self):
        data = images.qcow2()
        found = [command for block in blocks(README, '') for command in commands(block)]
        assert len(found) == 2
        with contextlib.chdir(self.home):
            self.file(data, 'disk.qcow2')
            for arguments in found:
                assert arguments[:4] == ['--os-auth-type', 'none', '--os-endpoint',
                                         'http://127.0.0.1:9292']
                made = self.service.openstack(self.home).json(*arguments[4:])
                self.addCleanup(self.remove, made['id'])
                image = self.imported(made['id'])
                assert (image['status'], image['disk_format']) == ('active', 'qcow2')
                assert image['os_hash_value'] == case.sha512(data)


class TestPage(case.WithImports, case.Case):

    USER = 'alpha-admin'

    def test_every_command_works(self):
        data, output = images.qcow2(), ''
        web = self.published(data)
        remote_id = self.image(data, disk_format='qcow2')
        with contextlib.chdir(self.home):
            self.file(data, 'disk.qcow2')
            for block in blocks(PAGE, 'sh'):
                for arguments in commands(block):
                    output += self.run_command(arguments, {
                        'https://images.example/disk.qcow2': web, 'ID': remote_id,
                        'RegionTwo': keystone.REGION})

        images_made = {name: self.find(name) for name in ('one', 'two', 'three', 'four')}
        assert {image['status'] for image in images_made.values()} == {'active'}
        assert {image['os_hash_value'] for image in images_made.values()} == {case.sha512(data)}
        assert case.stores(images_made['one']) == {'fast', 'cold'}
        assert case.stores(images_made['two']) == {'fast', 'cold'}
        assert 'copy-image' in output
        assert 'api_image_import' in output

    def test_the_expected_hash_is_compared(self):
        data = images.qcow2()
        [body] = map(json.loads, blocks(PAGE, 'json'))
        body['method']['uri'] = self.published(data)
        results = []
        for value in (hashlib.sha256(data).hexdigest(), 64 * '0'):
            body['method']['os_hash_value'] = value
            image_id = self.image(disk_format='qcow2')
            assert self.request('POST', f'/v2/images/{image_id}/import', body).status == 202
            results.append(self.imported(image_id)['status'])

        assert results == ['active', 'queued']

    def run_command(self, arguments, replaced):
        """Run a command of the page; wait for the import that it begins."""
        output = self.service.openstack(self.home, self.USER)(
            *(replaced.get(argument, argument) for argument in arguments))
        if 'create' in arguments:
            self.addCleanup(self.remove, self.find(arguments[-1])['id'], self.USER)
        named = {'one', 'two', 'three', 'four'} & set(arguments)
        if named and {'--import', 'import'} & set(arguments):
            self.imported(self.find(*named)['id'], self.USER)
        return output

    def find(self, name):
        [image] = json.loads(self.request('GET', f'/v2/images?name={name}', user=self.USER).body)[
            'images']
        return image
