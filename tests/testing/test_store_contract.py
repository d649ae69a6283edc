"""The suite for stores passes good ones and finds every bad one, by the right claim."""

import inspect
import os
import pathlib
import re
import subprocess
import sys

import pytest

from glancelite import contract
from glancelite.testing.contracts import StoreContract
from tests.testing import bad_stores

BAD = {
    'Overwrites': 'never_overwrites',
    'LosesTheLastByte': 'reads_back_what_was_written',
    'BelievesTheSize': 'a_wrong_size_is_a_hint_only',
    'StopsAtTheSize': 'a_wrong_size_is_a_hint_only',
    'PullsBeyondTheEnd': 'the_source_is_pulled_to_its_end_and_not_beyond',
    'LeavesPartials': 'a_broken_source_leaves_nothing_behind',
    'ShowsPartials': 'what_is_not_whole_yet_cannot_be_read',
    'WrapsFailures': 'what_the_source_raises_passes_through_unchanged',
    'TakesForeignFailuresForItsOwn': 'what_the_source_raises_passes_through_unchanged',
    'LastWriterWins': 'one_of_many_writers_of_a_key_wins',
    'MixesUpWriters': 'many_write_at_once',
    'IgnoresOffset': 'reads_a_part_or_says_that_it_cannot',
    'IgnoresLength': 'reads_a_part_or_says_that_it_cannot',
    'ReadsPartsUndeclared': 'reads_a_part_or_says_that_it_cannot',
    'ReportsLate': 'what_is_missing_is_reported_before_the_first_chunk',
    'YieldsEmptyChunks': 'reads_the_whole_in_chunks',
    'YieldsViews': 'reads_the_whole_in_chunks',
    'SharesOneReader': 'readers_do_not_disturb_each_other',
    'DeletesTwice': 'what_is_deleted_is_gone',
    'DeletesNothing': 'what_is_deleted_is_gone',
    'DeletesByPrefix': 'only_what_is_meant_is_deleted',
    'DiscardsNothing': 'discards_whatever_is_under_a_key',
    'DiscardsOnlyWhatIsThere': 'discarding_nothing_is_fine',
    'OwnsEverything': 'knows_its_own',
    'FollowsDots': 'a_hostile_address_leads_nowhere',
    'RaisesItsLibrarysErrors': 'a_hostile_address_leads_nowhere',
    'IgnoresCase': 'keys_that_look_alike_are_told_apart',
    'ForgetsUndeclared': 'another_instance_has_the_bytes_unless_they_are_volatile',
    'RemembersThoughVolatile': 'another_instance_has_the_bytes_unless_they_are_volatile',
    'ShowsItsSecret': 'its_secrets_stay_secret',
    'HasFactsThatAreNoJSON': 'describes_itself',
    'NamesItsStoreItself': 'its_urls_and_facts_can_be_kept_and_shown',
    'HoldsAllInMemory': 'memory_does_not_grow_with_the_image',
    'LeavesSomethingElsewhere': 'reads_back_what_was_written',
}
#: claims about which every store that is bad otherwise fails, or that need no bad example
SELF_EVIDENT = {
    'it_does_not_matter_how_the_bytes_are_cut', 'zeros_are_data', 'the_caller_is_no_obstacle',
    'every_key_can_be_used', 'a_reader_never_gets_wrong_bytes_because_of_a_delete',
    'knows_the_size', 'reads_to_the_end_and_not_beyond', 'a_reader_may_give_up',
    'many_read_at_once',
}


#: one class per store: the good one has all claims, a bad one only what it breaks
SUITE = '''
import pytest
from glancelite.testing import contracts
from tests.testing import bad_stores
from tests.testing.test_store_contract import BAD


def suite(kind, claim):
    others = dict.fromkeys(name for name in dir(contracts.StoreContract)
                           if claim and name.startswith('test_') and name != f'test_{claim}')
    return type(f'Test{kind.__name__}', (contracts.StoreContract,), {
        'store': pytest.fixture(name='store')(lambda self, make_plugin: make_plugin(kind)),
        'leftovers': lambda self, store: getattr(store, 'temporary', ()), **others})


for name, claim in {'MemoryStore': '', **BAD}.items():
    globals()[f'Test{name}'] = suite(getattr(bad_stores, name), claim)
'''


@pytest.fixture(scope='module')
def failed(tmp_path_factory):
    """Name of a store -> the claims that it failed."""
    folder = tmp_path_factory.mktemp('suite')
    (folder / 'test_suite.py').write_text(SUITE)
    run = subprocess.run(
        [sys.executable, '-m', 'pytest', '-rA', '--tb=no', '--rootdir', folder, folder],
        env={**os.environ, 'PYTHONPATH': str(pathlib.Path(__file__).parents[2])}, cwd=folder,
        text=True, capture_output=True)
    failed = {name: set() for name in ('MemoryStore', *BAD)}
    ran = set()
    for line in run.stdout.splitlines():
        if said := re.match(r'(PASSED|FAILED|ERROR) .*::Test(\w+)::test_(\w+)', line):
            ran.add(said[2])
            if said[1] != 'PASSED':
                failed[said[2]].add(said[3])
    assert ran == set(failed), run.stdout
    return failed


def test_a_good_store_passes(failed):
    assert failed['MemoryStore'] == set()


@pytest.mark.parametrize('name', BAD)
def test_a_bad_store_is_found(failed, name):
    assert failed[name] == {BAD[name]}


def test_every_claim_is_proved_by_a_bad_store():
    claims = {name.removeprefix('test_') for name in dir(StoreContract)
              if name.startswith('test_')}
    stores = {name for name, kind in inspect.getmembers(bad_stores, inspect.isclass)
              if issubclass(kind, contract.Store) and kind.__module__ == bad_stores.__name__}

    assert claims == set(BAD.values()) | SELF_EVIDENT
    assert stores == set(BAD)
