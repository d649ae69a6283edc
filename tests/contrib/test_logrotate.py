"""The logrotate example rotates the log of a running service."""

import grp
import os
import pwd
import subprocess

from tests.contrib import examples
from tests.servers import live, process, programs

CONFIG = {
    'DEFAULT': {'enabled_backends': 'memory:memory', 'workers': '1'},
    'glance_store': {'default_backend': 'memory'},
    'layers': {'auth': 'noauth', 'database': 'memory'},
}


def test_the_log_goes_on_in_a_new_file():
    logrotate = programs.require('logrotate')
    with process.directory('log') as home:
        log = home / 'api.log'
        config = {**CONFIG, 'DEFAULT': {**CONFIG['DEFAULT'], 'log_file': str(log)}}
        with live.server(config) as server:
            user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
            (home / 'rotate').write_text(examples.adapted('logrotate/glancelite', {
                '/var/log/glance': home, 'su glance glance': f'su {user} {group}',
                'systemctl reload glancelite-api.service': f'kill -HUP {server.pid}',
                'systemctl --quiet is-active glancelite-worker.service': 'true',
                'systemctl kill --kill-who=main --signal=USR1 glancelite-worker.service':
                    f'touch {home}/worker'}))
            done = subprocess.run(
                [logrotate, '--force', '--state', home / 'state', home / 'rotate'],
                capture_output=True, text=True, check=False)

            assert (done.returncode, done.stderr) == (0, '')
            assert process.until(lambda: log.exists() and 'reloaded' in log.read_text())
            assert (home / 'api.log.1').stat().st_size > 0
            assert (home / 'worker').exists()   # it has got its signal
