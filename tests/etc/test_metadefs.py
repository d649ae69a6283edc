"""The definition files in ``etc/metadefs``: valid, complete, and installed with the package."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import jsonschema
import pytest

from glancelite.schema import metadef, render

ROOT = pathlib.Path(__file__).parents[2]
FILES = {path.stem: json.loads(path.read_text(encoding='utf-8'))
         for path in sorted((ROOT / 'etc/metadefs').glob('*.json'))}

IMAGE, VOLUME, FLAVOR = 'OS::Glance::Image', 'OS::Cinder::Volume', 'OS::Nova::Flavor'
AGGREGATE, SERVER, DATABASE = 'OS::Nova::Aggregate', 'OS::Nova::Server', 'OS::Trove::Instance'
INSTALLED = {IMAGE, (VOLUME, None, 'image'), (SERVER, None, 'metadata')}
HARDWARE = {(IMAGE, 'hw_'), (VOLUME, 'hw_', 'image'), (FLAVOR, 'hw:')}
#: file -> namespace, associations: a type, (type, prefix) or (type, prefix, target), and how
#: many properties there are, or objects.  Dashboards and existing resources rely on them.
TABLE = {
    'cim-processor-allocation-setting-data': (
        'CIM::ProcessorAllocationSettingData', {
            (VOLUME, 'CIM_PASD_', 'image'), (IMAGE, 'CIM_PASD_'), (AGGREGATE, 'CIM_PASD_'),
            (FLAVOR, 'CIM_PASD_'), (SERVER, None, 'scheduler_hints')}, 3),
    'cim-resource-allocation-setting-data': (
        'CIM::ResourceAllocationSettingData', {
            (VOLUME, 'CIM_RASD_', 'image'), (AGGREGATE, 'CIM_RASD_'), (FLAVOR, 'CIM_RASD_')},
        19),
    'cim-storage-allocation-setting-data': (
        'CIM::StorageAllocationSettingData', {
            (VOLUME, 'CIM_SASD_'), (AGGREGATE, 'CIM_SASD_'), (FLAVOR, 'CIM_SASD_')}, 13),
    'cim-virtual-system-setting-data': (
        'CIM::VirtualSystemSettingData', {(AGGREGATE, 'CIM_VSSD_'), (FLAVOR, 'CIM_VSSD_')}, 17),
    'compute-aggr-disk-filter': ('OS::Compute::AggregateDiskFilter', {AGGREGATE}, 1),
    'compute-aggr-iops-filter': ('OS::Compute::AggregateIoOpsFilter', {AGGREGATE}, 1),
    'compute-aggr-num-instances': (
        'OS::Compute::AggregateNumInstancesFilter', {AGGREGATE}, 1),
    'compute-cpu-mode': ('OS::Compute::CPUMode', {(IMAGE, 'hw_'), (FLAVOR, 'hw:')}, 1),
    'compute-cpu-pinning': ('OS::Compute::CPUPinning', HARDWARE, 2),
    'compute-guest-memory-backing': ('OS::Compute::GuestMemoryBacking', HARDWARE, 1),
    'compute-guest-shutdown': ('OS::Compute::GuestShutdownBehavior', {IMAGE}, 1),
    'compute-host-capabilities': ('OS::Compute::HostCapabilities', {
        (FLAVOR, 'capabilities:'), (AGGREGATE, 'aggregate_instance_extra_specs:')}, 7),
    'compute-hypervisor': ('OS::Compute::Hypervisor', {IMAGE}, 2),
    'compute-instance-data': (
        'OS::Compute::InstanceData', {IMAGE, (VOLUME, None, 'image')}, 2),
    'compute-libvirt': ('OS::Compute::Libvirt', {(IMAGE, 'hw_'), (FLAVOR, 'hw:')}, 5),
    'compute-libvirt-image': ('OS::Compute::LibvirtImage', {IMAGE}, 17),
    'compute-quota': ('OS::Compute::Quota', {FLAVOR}, 3),
    'compute-randomgen': ('OS::Compute::RandomNumberGenerator', {FLAVOR}, 3),
    'compute-vcputopology': ('OS::Compute::VirtCPUTopology', HARDWARE, 6),
    'compute-vmware': ('OS::Compute::VMware', {IMAGE}, 6),
    'compute-vmware-flavor': ('OS::Compute::VMwareFlavor', {FLAVOR}, 2),
    'compute-vmware-quota-flavor': ('OS::Compute::VMwareQuotaFlavor', {FLAVOR}, 2),
    'compute-vtpm': ('OS::Compute::VTPM', {(FLAVOR, 'traits:'), (IMAGE, 'traits:')}, 2),
    'compute-vtpm-hw': ('OS::Compute::TPM', {(FLAVOR, 'hw:'), (IMAGE, 'hw_')}, 2),
    'compute-watchdog': ('OS::Compute::Watchdog', HARDWARE, 1),
    'compute-xenapi': ('OS::Compute::XenAPI', {IMAGE}, 1),
    'glance-common-image-props': ('OS::Glance::CommonImageProperties', set(), 10),
    'image-signature-verification': ('OS::Glance::Signatures', {IMAGE}, 4),
    'operating-system': ('OS::OperatingSystem', {IMAGE, (VOLUME, None, 'image')}, 3),
    'software-databases': ('OS::Software::DBMS', {*INSTALLED, DATABASE}, 12),
    'software-runtimes': ('OS::Software::Runtimes', INSTALLED, 5),
    'software-webservers': ('OS::Software::WebServers', INSTALLED, 3),
    'storage-volume-type': ('OS::Cinder::Volumetype', {(IMAGE, 'cinder_')}, 1),
}
UNSET = object()
#: what differs from public and protected
VISIBILITY = {'glance-common-image-props': UNSET, 'operating-system': UNSET}
PROTECTED = {'compute-aggr-num-instances': False, 'image-signature-verification': False,
             'compute-cpu-mode': UNSET}

every_file = pytest.mark.parametrize('file', FILES)


def properties(definition):
    """Yield ``(name, schema)`` of the properties, also of those in objects."""
    yield from definition.get('properties', {}).items()
    for each in definition.get('objects', ()):
        yield from each['properties'].items()


def association(each):
    """Return an association as ``TABLE`` has it."""
    found = (each['name'], each.get('prefix'), each.get('properties_target'))
    return found[0] if not any(found[1:]) else found if found[2] else found[:2]


def test_the_files_are_those_that_dashboards_and_resources_rely_on():
    assert {file: (each['namespace'],
                   {association(one) for one in each.get('resource_type_associations', ())},
                   len(each.get('properties') or each['objects']))
            for file, each in FILES.items()} == TABLE


@every_file
def test_who_sees_a_definition_and_whether_it_is_protected(file):
    assert FILES[file].get('visibility', UNSET) == VISIBILITY.get(file, 'public')
    assert FILES[file].get('protected', UNSET) is PROTECTED.get(file, True)


@every_file
def test_a_definition_is_valid_by_the_documents_that_the_api_serves(file):
    definition = FILES[file]

    check(metadef.NAMESPACE, definition)
    for each in definition.get('objects', ()):
        check(metadef.OBJECT, each)
    for _, schema in properties(definition):
        check(metadef.NAMED_PROPERTY, schema)
    for each in definition.get('resource_type_associations', ()):
        check(metadef.RESOURCE_TYPE, each)


def check(resource, value):
    jsonschema.Draft4Validator(
        {'type': 'object', **render.document(resource)}).validate(value)


@every_file
def test_names_fit_and_nothing_lacks_a_text(file):
    definition = FILES[file]
    named = [definition, *definition.get('objects', ())]

    assert all(len(name) <= 80 for name, _ in properties(definition))
    assert all(each['description'].endswith('.') for each in named)
    assert all(schema['title'] and schema['description'].endswith('.')
               for _, schema in properties(definition))


@every_file
def test_a_name_occurs_once(file):
    definition = json.loads((ROOT / f'etc/metadefs/{file}.json').read_text(encoding='utf-8'),
                            object_pairs_hook=unique)
    objects = [each['name'] for each in definition.get('objects', ())]
    names = [name for name, _ in properties(definition)]

    assert len(objects) == len(set(objects))
    assert len(names) == len(set(names))


def unique(pairs):
    assert len(pairs) == len(dict(pairs)), f'a key occurs twice: {[key for key, _ in pairs]}'
    return dict(pairs)


@every_file
def test_a_default_is_one_of_the_values_that_are_allowed(file):
    for name, schema in properties(FILES[file]):
        values = schema.get('enum', schema.get('items', {}).get('enum', []))
        assert len(values) == len(set(values)), name
        if 'default' in schema:
            jsonschema.Draft4Validator(schema).validate(schema['default'])
        if schema['type'] == 'array':
            assert values, name


def test_definitions_are_exported_to_files_with_different_names():
    names = [re.sub('[^A-Za-z0-9]', '', each['display_name']) for each in FILES.values()]

    assert all(names)
    assert len(names) == len(set(names))


def test_the_package_installs_the_files(tmp_path):
    source = tmp_path / 'source'
    source.mkdir()
    for name in ('setup.cfg', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / 'etc', source / 'etc')
    (source / 'glancelite').mkdir()
    (source / 'glancelite/__init__.py').touch()

    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-index',
                    '--no-build-isolation', '-w', tmp_path, source], check=True)

    with zipfile.ZipFile(next(tmp_path.glob('*.whl'))) as wheel:
        installed = [name.partition('.data/data/share/glancelite/metadefs/')[2]
                     for name in wheel.namelist()]
    assert {name for name in installed if name} == {f'{file}.json' for file in FILES}
