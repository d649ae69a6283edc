"""The suites for stores accept good ones, and find each bad one by the right claim."""

import inspect

import pytest

from glancelite import contract
from glancelite.testing import contracts
from glancelite.testing.contracts.store.capabilities import HOSTILE, failed_urls
from tests.testing import (
    bad_backends,
    bad_capabilities,
    bad_interruptions,
    bad_pairs,
    bad_roots,
    bad_stores,
    suite_runner,
)

STORES = {
    'bad_stores.Overwrites': 'never_overwrites',
    'bad_stores.KeepsViews': 'accepts_memoryviews_if_declared',
    'bad_stores.LosesTheLastByte': 'reads_back_what_was_written',
    'bad_stores.BelievesTheSize': 'a_wrong_size_is_a_hint_only',
    'bad_stores.StopsAtTheSize': 'a_wrong_size_is_a_hint_only',
    'bad_stores.PullsBeyondTheEnd': 'the_source_is_read_exactly_to_its_end',
    'bad_stores.LeavesPartials': 'a_broken_source_leaves_nothing_behind',
    'bad_stores.ShowsPartials': 'incomplete_data_cannot_be_read',
    'bad_stores.WrapsErrorsOfTheSource': 'errors_of_the_source_pass_through_unchanged',
    'bad_stores.TranslatesErrorsOfTheSource': 'errors_of_the_source_pass_through_unchanged',
    'bad_stores.LastWriterWins': 'one_of_many_writers_of_a_key_wins',
    'bad_stores.MixesUpWriters': 'many_write_at_once',
    'bad_stores.IgnoresOffset': 'reads_a_range_or_is_unsupported',
    'bad_stores.IgnoresLength': 'reads_a_range_or_is_unsupported',
    'bad_stores.ReadsPartsUndeclared': 'reads_a_range_or_is_unsupported',
    'bad_stores.ReportsLate': 'missing_data_is_reported_before_the_first_chunk',
    'bad_stores.YieldsEmptyChunks': 'reads_all_data_in_chunks',
    'bad_stores.YieldsViews': 'reads_all_data_in_chunks',
    'bad_stores.SharesOneReader': 'readers_do_not_disturb_each_other',
    'bad_stores.DeletesTwice': 'deleted_data_is_gone',
    'bad_stores.DeletesNothing': 'deleted_data_is_gone',
    'bad_stores.DeletesByPrefix': 'only_the_given_data_is_deleted',
    'bad_stores.DiscardsNothing': 'discards_the_data_of_a_key',
    'bad_stores.DiscardsOnlyWhatIsThere': 'discarding_without_data_succeeds',
    'bad_stores.OwnsEverything': 'owns_only_its_own_urls',
    'bad_stores.FollowsDots': 'hostile_urls_are_rejected',
    'bad_stores.RaisesItsLibrarysErrors': 'hostile_urls_are_rejected',
    'bad_stores.IgnoresCase': 'similar_keys_are_distinct',
    'bad_stores.ForgetsUndeclared': 'another_instance_has_the_data_unless_it_is_volatile',
    'bad_stores.RemembersThoughVolatile':
        'another_instance_has_the_data_unless_it_is_volatile',
    'bad_stores.ShowsItsSecret': 'shows_no_secrets',
    'bad_stores.ShowsThePath': 'errors_show_no_paths_or_secrets',
    'bad_stores.RepeatsTheURL': 'errors_show_no_paths_or_secrets',
    'bad_stores.HasPropertiesThatAreNotJSON': 'reports_properties_and_health',
    'bad_stores.NamesItsStoreItself': 'urls_and_metadata_can_be_stored_and_shown',
    'bad_stores.HoldsAllInMemory': 'memory_does_not_grow_with_the_image',
    'bad_stores.LeavesSomethingElsewhere': 'reads_back_what_was_written',
    'bad_capabilities.TakesDataUndeclared': 'accepts_data_only_with_the_capability_write',
    'bad_capabilities.AdoptsUndeclared': 'adopts_its_own_urls_or_is_unsupported',
    'bad_capabilities.DeclaresToAdopt': 'adopts_its_own_urls_or_is_unsupported',
    'bad_capabilities.KeepsWhatItIsGiven': 'adopts_its_own_urls_or_is_unsupported',
    'bad_capabilities.AdoptsAnything': 'adopts_no_hostile_url',
    'bad_capabilities.AdoptsItsNeighbours': 'adopts_no_hostile_url',
    'bad_capabilities.KeepsSecrets': 'adopted_urls_and_errors_show_no_secrets',
    'bad_capabilities.RepeatsSecrets': 'adopted_urls_and_errors_show_no_secrets',
    'bad_capabilities.SharesUndeclared': 'shares_or_is_unsupported',
    'bad_capabilities.DeclaresToShare': 'shares_or_is_unsupported',
    'bad_capabilities.DeletesWhenSharing': 'shares_or_is_unsupported',
    'bad_capabilities.SharesWhatIsMissing': 'missing_data_cannot_be_shared',
    'bad_capabilities.ClaimsAnew': 'exclusive_resources_are_texts_that_do_not_change',
    'bad_capabilities.ClaimsByInstance': 'exclusive_resources_are_texts_that_do_not_change',
    'bad_capabilities.ClaimsOneText': 'exclusive_resources_are_texts_that_do_not_change',
    'bad_capabilities.ClaimsPaths': 'exclusive_resources_are_texts_that_do_not_change',
    'bad_interruptions.HoldsItsLock': 'a_slow_source_does_not_block_others',
    'bad_interruptions.GivesUpOnSlowSources': 'a_slow_source_does_not_block_others',
    'bad_interruptions.LocksWhileReading': 'a_slow_reader_does_not_block_others',
    'bad_interruptions.GivesUpOnSlowReaders': 'a_slow_reader_does_not_block_others',
    'bad_interruptions.LeavesDataOfKilledProcesses': 'data_of_a_killed_process_is_discarded',
    'bad_interruptions.ShowsDataOfKilledProcesses': 'data_of_a_killed_process_is_discarded',
    'bad_interruptions.NeverReportsItsHealth': 'reports_properties_and_health',
}
#: claims without a bad store of their own: other bad stores violate them
SELF_EVIDENT = {
    'the_sizes_of_chunks_do_not_matter', 'zeros_are_data', 'accepts_a_caller',
    'every_valid_key_can_be_used', 'a_reader_never_gets_wrong_bytes_because_of_a_delete',
    'reports_the_size', 'reads_to_the_end_and_not_beyond', 'a_reader_may_stop_early',
    'many_read_at_once',
}
BACKENDS = {
    'bad_backends.IsAlwaysHealthy': 'without_a_backend_health_fails',
    'bad_backends.NeverAnswers': 'without_a_backend_health_fails',
    'bad_backends.ShowsItsSecret': 'without_a_backend_health_fails',
    'bad_backends.ShowsItsAddress': 'without_a_backend_nothing_is_read',
    'bad_backends.ReportsMissingData': 'without_a_backend_nothing_is_read',
    'bad_backends.OpensLate': 'without_a_backend_nothing_is_read',
    'bad_backends.RaisesItsLibrarysErrors': 'without_a_backend_nothing_is_written',
    'bad_backends.DiscardsNothing': 'without_a_backend_nothing_is_reported_as_deleted',
    'bad_backends.SharesNothing': 'without_a_backend_nothing_is_reported_as_shared',
    'bad_backends.WaitsInAQueue': 'concurrent_calls_without_a_backend_wait_no_longer_than_one',
    'bad_backends.ContactsTheBackendInOwns': 'calls_that_need_no_backend_work_without_it',
    'bad_backends.ContactsTheBackendInProperties': 'calls_that_need_no_backend_work_without_it',
}
ROOTS = {
    'bad_roots.TakesDataForMissing': 'without_its_root_no_data_is_reported_as_missing',
    'bad_roots.NamesTheRoot': 'without_its_root_no_data_is_reported_as_missing',
    'bad_roots.TakesDataForDeleted': 'without_its_root_nothing_is_reported_as_deleted',
    'bad_roots.DiscardsWithoutRoot': 'without_its_root_nothing_is_reported_as_deleted',
    'bad_roots.MakesARootAnew': 'without_its_root_nothing_is_written',
    'bad_roots.IsHealthyWithoutRoot': 'without_its_root_health_fails',
}
PAIRS = {
    'bad_pairs.OwnsTheOthers': 'two_stores_own_different_urls',
    'bad_pairs.HasTheSameAddresses': 'two_stores_own_different_urls',
    'bad_pairs.KeepsOneForBoth': 'two_stores_have_different_data',
    'bad_pairs.FollowsTheOther': 'two_stores_reject_the_urls_of_each_other',
    'bad_pairs.DiscardsForBoth': 'data_deleted_in_one_of_two_stores_stays_in_the_other',
    'bad_pairs.ClaimsTheSame': 'two_stores_have_no_exclusive_resource_in_common',
}
#: suite -> good stores, bad ones with the claim that they violate, claims without a bad store,
#: fixtures, modules
SUITES = {
    'StoreContract': (['bad_stores.MemoryStore', 'bad_capabilities.Able'], STORES, SELF_EVIDENT,
                      ('store',), (bad_stores, bad_capabilities, bad_interruptions)),
    'BrokenBackendContract': (
        [f'bad_backends.{name}' for name in ('Dead', 'DeadAndReadOnly', 'NeverDown')],
        BACKENDS, set(), ('broken',), (bad_backends,)),
    'MissingRootContract': (['bad_roots.Rooted'], ROOTS, set(), ('store',), (bad_roots,)),
    'TwoStoresContract': (['bad_pairs.MemoryStore', 'bad_capabilities.Able'], PAIRS, set(),
                          ('store', 'other'), (bad_pairs,)),
}


@pytest.fixture(scope='module')
def failed(tmp_path_factory):
    """Suite -> plugin -> the claims that it failed."""
    return {suite: suite_runner.failed(tmp_path_factory.mktemp('suite'), suite,
                                {**dict.fromkeys(good, ''), **bad}, fixtures)
            for suite, (good, bad, _, fixtures, _) in SUITES.items()}


@pytest.mark.parametrize(('suite', 'path'), [
    (suite, path) for suite, (good, *_) in SUITES.items() for path in good])
def test_a_good_store_passes(failed, suite, path):
    assert failed[suite][path] == set()


@pytest.mark.parametrize(('suite', 'path', 'claim'), [
    (suite, path, claim) for suite, (_, bad, *_) in SUITES.items()
    for path, claim in bad.items()])
def test_a_bad_store_is_found(failed, suite, path, claim):
    assert failed[suite][path] == {claim}


@pytest.mark.parametrize('suite', SUITES)
def test_every_claim_has_a_bad_store(suite):
    good, bad, evident, _, modules = SUITES[suite]

    claims = {name.removeprefix('test_') for name in dir(getattr(contracts, suite))
              if name.startswith('test_')}
    stores = {f'{module.__name__.rpartition(".")[2]}.{name}' for module in modules
              for name, kind in inspect.getmembers(module, inspect.isclass)
              if issubclass(kind, contract.Store) and kind.__module__ == module.__name__
              and not name.startswith('_')}

    assert claims == set(bad.values()) | evident
    assert stores - set(good) == set(bad)


def test_each_hostile_url_that_fails_is_reported():
    def check(url):
        assert '..' not in url

    failures = failed_urls(check, 'scheme://base/name')

    assert len(failures) == sum('..' in template for template in HOSTILE) > 5
    assert all('..' in url and reason.startswith('AssertionError: ')
               for url, reason in failures.items())
