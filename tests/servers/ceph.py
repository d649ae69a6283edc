"""A private Ceph cluster with pools, and an S3 gateway."""

import contextlib
import json
import signal
import subprocess
import uuid

from tests.servers import process, programs

IMAGES, CLONES = 'images', 'volumes'
#: hosts in this domain name the bucket; they are not resolvable
DOMAIN = 's3.localhost'

CONFIGURATION = """
[global]
fsid = {fsid}
mon_host = v2:127.0.0.1:{port}/0
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
keyring = {home}/keyring
run_dir = {home}
admin_socket =
log_file = {home}/$name.log
log_to_stderr = false
crash_dir = {home}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
max_open_files = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
[mon]
mon_data = {home}/mon
mon_cluster_log_file = {home}/cluster.log
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
mon_max_pg_per_osd = 1000
mon_data_avail_warn = 2
mon_data_avail_crit = 1
# Faster than the defaults: the state of a new cluster changes often.
mon_tick_interval = 1
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
[mgr]
mgr_data = {home}/mgr
# The modules are Python programs, which start slowly.
mgr_module_path = {home}/no-modules
mgr_stats_period = 1
mgr_tick_period = 1
[osd]
osd_data = {home}/osd
osd_objectstore = memstore
memstore_device_bytes = 12884901888
# seconds until the watch of a dead client expires; the default is 30
osd_client_watch_timeout = 3
osd_class_update_on_start = false
osd_crush_update_on_start = false
[client.gateway]
rgw_data = {home}
rgw_enable_apis = s3
rgw_enable_usage_log = false
rgw_thread_pool_size = 32
"""

CAPABILITIES = {
    'mon.': {'mon': 'allow *'},
    'client.admin': {'mon': 'allow *', 'osd': 'allow *', 'mgr': 'allow *'},
    'mgr.x': {'mon': 'allow profile mgr', 'osd': 'allow *'},
    'osd.0': {'mon': 'allow profile osd', 'osd': 'allow *', 'mgr': 'allow profile osd'},
    'client.gateway': {'mon': 'allow rw', 'osd': 'allow rwx'},
    # As in Ceph's manual for OpenStack; read access to CLONES shows the clones of images.
    'client.images': {'mon': 'profile rbd', 'osd': f'profile rbd pool={IMAGES}, '
                                                   f'profile rbd-read-only pool={CLONES}'},
    'client.volumes': {'mon': 'profile rbd', 'osd': f'profile rbd pool={CLONES}, '
                                                    f'profile rbd-read-only pool={IMAGES}'},
}


class Ceph:
    """A running cluster with the pools IMAGES and CLONES.

    The users ``images`` and ``volumes`` may write to the pool of their name and read the
    other; ``admin`` may do everything. The keys are in the keyring that ``conf`` names.

    :ivar conf: path of ``ceph.conf``.
    :ivar fsid: the cluster's id.
    :ivar osd: the process with all data; a test that stops it (SIGSTOP) must resume it.
    """

    def __init__(self, home):
        self.home = home
        self.conf = str(home / 'ceph.conf')
        self.fsid = str(uuid.uuid4())
        self.port = process.free_port()
        self.osd = None

    def command(self, *arguments):
        """Run ``ceph ARGUMENTS`` as administrator; return its output, parsed from JSON."""
        done = subprocess.run(
            [programs.require('ceph'), '-c', self.conf, '--connect-timeout', '10', '-f', 'json',
             *arguments], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise RuntimeError(f'ceph {" ".join(arguments)}: {done.stderr}')
        return json.loads(done.stdout) if done.stdout.strip() else None

    def create_pool(self, name):
        """Create a pool for RBD."""
        _run_commands(programs.require('ceph'), self, *_creation(name))

    def delete_pool(self, name):
        self.command('osd', 'pool', 'delete', name, name, '--yes-i-really-really-mean-it')

    def configure(self, name='extra.conf', **options):
        """Write a copy of ``ceph.conf`` with more options in ``[client]``; return its path."""
        path = self.home / name
        lines = [f'{key} = {value}' for key, value in options.items()]
        path.write_text('\n'.join([(self.home / 'ceph.conf').read_text(), '[client]', *lines, '']))
        return str(path)


class S3:
    """A running S3 service.

    :ivar url: the endpoint; the bucket is in the path or the host (see DOMAIN).
    """

    region = 'default'
    access_key = 'glance-access'
    secret_key = 'glance-secret'

    def __init__(self, url):
        self.url = url


@contextlib.contextmanager
def server():
    """Run a cluster of one monitor, one OSD in memory and one manager while the block runs."""
    needed = {name: programs.require(name) for name in
              ('ceph', 'ceph-authtool', 'ceph-mgr', 'ceph-mon', 'ceph-osd', 'monmaptool')}
    with process.directory('ceph') as home, contextlib.ExitStack() as running:
        cluster = Ceph(home)
        (home / 'ceph.conf').write_text(
            CONFIGURATION.format(home=home, fsid=cluster.fsid, port=cluster.port))
        for folder in 'mon', 'mgr', 'osd', 'no-modules':
            (home / folder).mkdir()

        def run(program, *arguments):
            process.run([needed[program], *arguments], log=home / 'log', cwd=home)

        def start(program, name, answers):
            return running.enter_context(process.running(
                [needed[program], '-i', name, '-c', cluster.conf, '-f'], answers=answers,
                log=home / 'log', cwd=home, stop=signal.SIGKILL))

        _write_keys(run, home)
        run('monmaptool', '--create', '--fsid', cluster.fsid, '--addv', 'a',
            f'[v2:127.0.0.1:{cluster.port}]', '--set-min-mon-release', 'pacific',
            '--enable-all-features', home / 'monmap')
        run('ceph-mon', '-i', 'a', '--mkfs', '--monmap', home / 'monmap', '--keyring',
            home / 'keyring', '-c', cluster.conf)
        start('ceph-mon', 'a', lambda: process.listens(cluster.port))
        # The monitor has read only its own key.
        process.run([needed['ceph'], '-c', cluster.conf, '--connect-timeout', '30', 'auth',
                     'import', '-i', home / 'keyring'], log=home / 'log', cwd=home)
        osd = str(uuid.uuid4())
        # One process for all commands is faster than one for each.
        _run_commands(
            needed['ceph'], cluster, f'osd new {osd} 0',
            'osd crush add osd.0 1.0 root=default host=localhost',
            *_creation(IMAGES), *_creation(CLONES))
        run('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', osd, '-c', cluster.conf)
        start('ceph-mgr', 'x', lambda: True)
        cluster.osd = start('ceph-osd', '0', lambda: True)
        # Pools are usable when a write succeeds.
        for pool in IMAGES, CLONES:
            process.run(['timeout', '60', programs.require('rbd'), '-c', cluster.conf, 'pool',
                         'init', pool], log=home / 'log', cwd=home)
        yield cluster


@contextlib.contextmanager
def gateway(cluster):
    """Run an S3 gateway on the cluster while the block runs."""
    radosgw, admin = programs.require('radosgw'), programs.require('radosgw-admin')
    port, log = process.free_port(), cluster.home / 'log'
    service = S3(f'http://127.0.0.1:{port}')
    command = [radosgw, '-n', 'client.gateway', '-c', cluster.conf, '-f',
               f'--rgw-frontends=beast endpoint=127.0.0.1:{port} tcp_nodelay=1',
               f'--rgw-dns-name={DOMAIN}']
    with process.running(command, answers=lambda: process.listens(port), log=log,
                         cwd=cluster.home, stop=signal.SIGKILL):
        process.run([admin, '-c', cluster.conf, '-n', 'client.gateway', 'user', 'create',
                     '--uid=glance', '--display-name=glance', f'--access-key={service.access_key}',
                     f'--secret-key={service.secret_key}'], log=log, cwd=cluster.home)
        yield service


def _write_keys(run, home):
    run('ceph-authtool', home / 'keyring', '--create-keyring')
    for name, allowed in CAPABILITIES.items():
        caps = [part for kind, text in allowed.items() for part in ('--cap', kind, text)]
        run('ceph-authtool', home / 'keyring', '--gen-key', '-n', name, *caps)


def _creation(pool):
    """The commands that create a pool for RBD."""
    return f'osd pool create {pool} 4', f'osd pool application enable {pool} rbd'


def _run_commands(ceph, cluster, *commands):
    """Run commands of the monitor as administrator."""
    done = subprocess.run([ceph, '-c', cluster.conf, '--connect-timeout', '30'],
                          input='\n'.join(commands), capture_output=True, text=True,
                          check=False, timeout=60)
    if done.returncode or 'Error' in done.stderr:
        raise process.DidNotStart(f'the monitor failed: {done.stdout}{done.stderr}')
