"""The OpenStack clients as a person would start them."""

import json
import pathlib
import subprocess
import sys

import openstack

from contrib.demo.story import Failed

BIN = pathlib.Path(sys.executable).parent


class Client:
    """A command line client, aimed at one server without authentication."""

    def __init__(self, *command):
        self._command = [BIN / command[0], *command[1:]]

    def __call__(self, *arguments, check=True):
        """Run it; what it printed.

        :param check: False where the command is to fail; then its complaint
            is what is returned.
        """
        done = subprocess.run([*self._command, *map(str, arguments)], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, check=False)
        if (done.returncode == 0) != check:
            raise Failed(f'{" ".join(map(str, arguments))}: exit code {done.returncode}\n'
                         f'{done.stdout}{done.stderr}')
        return done.stdout if check else done.stderr + done.stdout

    def json(self, *arguments):
        """Run it for an answer in JSON; a progress bar before it is left out."""
        said = self(*arguments, '-f', 'json')
        return json.loads(said[min(i for i in (said.find('{'), said.find('[')) if i >= 0):])


def openstack_client(url):
    return Client('openstack', '--os-auth-type', 'none', '--os-endpoint', url)


def glance_client(url):
    return Client('glance', '--os-image-url', url, '--os-auth-token', 'none')


def sdk(url):
    return openstack.connect(auth_type='none', image_endpoint_override=url, auth={'endpoint': url})
