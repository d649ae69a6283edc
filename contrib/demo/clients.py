"""Runs the OpenStack clients as a user would."""

import json
import pathlib
import subprocess
import sys

import openstack

from contrib.demo.steps import Failed

BIN = pathlib.Path(sys.executable).parent


class Client:
    """A command line client for one server without authentication."""

    def __init__(self, *command):
        self._command = [BIN / command[0], *command[1:]]

    def __call__(self, *arguments, check=True):
        """Run the client, and return its output.

        :param check: False if the command must fail; the output then starts with its
            error message.
        :raises Failed: the exit code is not as expected.
        """
        result = subprocess.run([*self._command, *map(str, arguments)], capture_output=True,
                                text=True, stdin=subprocess.DEVNULL, check=False)
        if (result.returncode == 0) != check:
            raise Failed(f'{" ".join(map(str, arguments))}: exit code {result.returncode}\n'
                         f'{result.stdout}{result.stderr}')
        return result.stdout if check else result.stderr + result.stdout

    def json(self, *arguments):
        """Run the client with JSON output, and return the value; skip a progress bar."""
        output = self(*arguments, '-f', 'json')
        starts = (output.find('{'), output.find('['))
        return json.loads(output[min(start for start in starts if start >= 0):])


def openstack_client(url):
    return Client('openstack', '--os-auth-type', 'none', '--os-endpoint', url)


def glance_client(url):
    return Client('glance', '--os-image-url', url, '--os-auth-token', 'none')


def sdk(url):
    return openstack.connect(auth_type='none', image_endpoint_override=url, auth={'endpoint': url})
