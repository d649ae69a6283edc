"""The suites for stores pass good ones and find every bad one, by the right claim."""

import inspect

import pytest

from glancelite import contract
from glancelite.testing import contracts
from tests.testing import bad_abilities, bad_backends, bad_pairs, bad_patience, bad_stores, proof

STORES = {
    'bad_stores.Overwrites': 'never_overwrites',
    'bad_stores.KeepsViews': 'takes_views_of_bytes_if_it_says_so',
    'bad_stores.LosesTheLastByte': 'reads_back_what_was_written',
    'bad_stores.BelievesTheSize': 'a_wrong_size_is_a_hint_only',
    'bad_stores.StopsAtTheSize': 'a_wrong_size_is_a_hint_only',
    'bad_stores.PullsBeyondTheEnd': 'the_source_is_pulled_to_its_end_and_not_beyond',
    'bad_stores.LeavesPartials': 'a_broken_source_leaves_nothing_behind',
    'bad_stores.ShowsPartials': 'what_is_not_whole_yet_cannot_be_read',
    'bad_stores.WrapsFailures': 'what_the_source_raises_passes_through_unchanged',
    'bad_stores.TakesForeignFailuresForItsOwn': 'what_the_source_raises_passes_through_unchanged',
    'bad_stores.LastWriterWins': 'one_of_many_writers_of_a_key_wins',
    'bad_stores.MixesUpWriters': 'many_write_at_once',
    'bad_stores.IgnoresOffset': 'reads_a_part_or_says_that_it_cannot',
    'bad_stores.IgnoresLength': 'reads_a_part_or_says_that_it_cannot',
    'bad_stores.ReadsPartsUndeclared': 'reads_a_part_or_says_that_it_cannot',
    'bad_stores.ReportsLate': 'what_is_missing_is_reported_before_the_first_chunk',
    'bad_stores.YieldsEmptyChunks': 'reads_the_whole_in_chunks',
    'bad_stores.YieldsViews': 'reads_the_whole_in_chunks',
    'bad_stores.SharesOneReader': 'readers_do_not_disturb_each_other',
    'bad_stores.DeletesTwice': 'what_is_deleted_is_gone',
    'bad_stores.DeletesNothing': 'what_is_deleted_is_gone',
    'bad_stores.DeletesByPrefix': 'only_what_is_meant_is_deleted',
    'bad_stores.DiscardsNothing': 'discards_whatever_is_under_a_key',
    'bad_stores.DiscardsOnlyWhatIsThere': 'discarding_nothing_is_fine',
    'bad_stores.OwnsEverything': 'knows_its_own',
    'bad_stores.FollowsDots': 'a_hostile_address_leads_nowhere',
    'bad_stores.RaisesItsLibrarysErrors': 'a_hostile_address_leads_nowhere',
    'bad_stores.IgnoresCase': 'keys_that_look_alike_are_told_apart',
    'bad_stores.ForgetsUndeclared': 'another_instance_has_the_bytes_unless_they_are_volatile',
    'bad_stores.RemembersThoughVolatile':
        'another_instance_has_the_bytes_unless_they_are_volatile',
    'bad_stores.ShowsItsSecret': 'its_secrets_stay_secret',
    'bad_stores.HasFactsThatAreNoJSON': 'describes_itself',
    'bad_stores.NamesItsStoreItself': 'its_urls_and_facts_can_be_kept_and_shown',
    'bad_stores.HoldsAllInMemory': 'memory_does_not_grow_with_the_image',
    'bad_stores.LeavesSomethingElsewhere': 'reads_back_what_was_written',
    'bad_abilities.TakesDataUndeclared': 'takes_data_only_if_it_says_so',
    'bad_abilities.AdoptsUndeclared': 'adopts_what_is_its_own_or_says_that_it_cannot',
    'bad_abilities.DeclaresToAdopt': 'adopts_what_is_its_own_or_says_that_it_cannot',
    'bad_abilities.KeepsWhatItIsGiven': 'adopts_what_is_its_own_or_says_that_it_cannot',
    'bad_abilities.AdoptsAnything': 'adopts_nothing_hostile',
    'bad_abilities.AdoptsItsNeighbours': 'adopts_nothing_hostile',
    'bad_abilities.KeepsSecrets': 'adopting_keeps_no_secrets',
    'bad_abilities.RepeatsSecrets': 'adopting_keeps_no_secrets',
    'bad_abilities.SharesUndeclared': 'shares_or_says_that_it_cannot',
    'bad_abilities.DeclaresToShare': 'shares_or_says_that_it_cannot',
    'bad_abilities.SharesItAway': 'shares_or_says_that_it_cannot',
    'bad_abilities.SharesWhatIsMissing': 'what_is_missing_cannot_be_shared',
    'bad_abilities.ClaimsAnew': 'its_claims_are_texts_that_do_not_change',
    'bad_abilities.ClaimsByInstance': 'its_claims_are_texts_that_do_not_change',
    'bad_abilities.ClaimsOneText': 'its_claims_are_texts_that_do_not_change',
    'bad_abilities.ClaimsPaths': 'its_claims_are_texts_that_do_not_change',
    'bad_patience.HoldsItsLock': 'a_slow_source_holds_nobody_up',
    'bad_patience.GivesUpOnSlowSources': 'a_slow_source_holds_nobody_up',
    'bad_patience.LocksWhileReading': 'a_slow_reader_holds_nobody_up',
    'bad_patience.GivesUpOnSlowReaders': 'a_slow_reader_holds_nobody_up',
    'bad_patience.LeavesWhatDied': 'what_a_dead_process_left_is_discarded',
    'bad_patience.ShowsWhatDied': 'what_a_dead_process_left_is_discarded',
    'bad_patience.IsNeverWell': 'describes_itself',
}
#: claims about which every store that is bad otherwise fails, or that need no bad example
SELF_EVIDENT = {
    'it_does_not_matter_how_the_bytes_are_cut', 'zeros_are_data', 'the_caller_is_no_obstacle',
    'every_key_can_be_used', 'a_reader_never_gets_wrong_bytes_because_of_a_delete',
    'knows_the_size', 'reads_to_the_end_and_not_beyond', 'a_reader_may_give_up',
    'many_read_at_once',
}
BACKENDS = {
    'bad_backends.IsAlwaysWell': 'without_a_backend_health_says_so',
    'bad_backends.NeverAnswers': 'without_a_backend_health_says_so',
    'bad_backends.ShowsItsSecret': 'without_a_backend_health_says_so',
    'bad_backends.FindsNothing': 'without_a_backend_nothing_is_read',
    'bad_backends.OpensLate': 'without_a_backend_nothing_is_read',
    'bad_backends.RaisesItsLibrarysErrors': 'without_a_backend_nothing_is_written',
    'bad_backends.DiscardsNothing': 'without_a_backend_nothing_is_taken_for_removed',
    'bad_backends.SharesNothing': 'without_a_backend_nothing_is_taken_for_shared',
    'bad_backends.WaitsInLine': 'many_who_wait_for_a_backend_wait_no_longer_than_one',
    'bad_backends.AsksToKnowItsOwn': 'what_needs_no_backend_is_answered_without',
    'bad_backends.AsksToDescribeItself': 'what_needs_no_backend_is_answered_without',
}
PAIRS = {
    'bad_pairs.OwnsTheOthers': 'each_of_two_stores_knows_its_own',
    'bad_pairs.HasTheSameAddresses': 'each_of_two_stores_knows_its_own',
    'bad_pairs.KeepsOneForBoth': 'each_of_two_stores_has_its_own',
    'bad_pairs.FollowsTheOther': 'neither_of_two_stores_follows_the_other',
    'bad_pairs.DiscardsForBoth': 'what_one_of_two_stores_removes_the_other_keeps',
    'bad_pairs.ClaimsTheSame': 'two_stores_claim_nothing_in_common',
}
#: suite -> good plugins, bad ones with the claim they break, claims without, fixtures, modules
SUITES = {
    'StoreContract': (['bad_stores.MemoryStore', 'bad_abilities.Able'], STORES, SELF_EVIDENT,
                      ('store',), (bad_stores, bad_abilities, bad_patience)),
    'BrokenBackendContract': (
        [f'bad_backends.{name}' for name in ('Dead', 'DeadAndReadOnly', 'NeverDown')],
        BACKENDS, set(), ('broken',), (bad_backends,)),
    'TwoStoresContract': (['bad_pairs.MemoryStore', 'bad_abilities.Able'], PAIRS, set(),
                          ('store', 'other'), (bad_pairs,)),
}


@pytest.fixture(scope='module')
def failed(tmp_path_factory):
    """Suite -> plugin -> the claims that it failed."""
    return {suite: proof.failed(tmp_path_factory.mktemp('suite'), suite,
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
def test_every_claim_is_proved_by_a_bad_store(suite):
    good, bad, evident, _, modules = SUITES[suite]

    claims = {name.removeprefix('test_') for name in dir(getattr(contracts, suite))
              if name.startswith('test_')}
    stores = {f'{module.__name__.rpartition(".")[2]}.{name}' for module in modules
              for name, kind in inspect.getmembers(module, inspect.isclass)
              if issubclass(kind, contract.Store) and kind.__module__ == module.__name__
              and not name.startswith('_')}

    assert claims == set(bad.values()) | evident
    assert stores - set(good) == set(bad)
