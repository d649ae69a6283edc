"""The suite for steps accepts a good one, and finds each bad one by the right claim."""

import pytest

from tests.testing import suite_runner

BAD = {
    'IsSilent': 'health_is_a_few_words_or_an_error_of_the_contract',
    'Renames': 'only_attributes_that_a_step_may_change_are_changed',
    'FailsOnUnknownFormats': 'every_format_gets_a_result',
    'FailsOnStrangeData': 'hostile_content_gets_a_result',
    'FailsOnShortData': 'content_gets_a_result_wherever_it_ends',
    'ReadsOnePart': 'the_sizes_of_parts_do_not_matter',
    'ForgetsThatItRan': 'a_step_that_is_run_again_has_the_same_result',
    'ReplacesBeforeItRemembers': 'a_step_that_was_interrupted_anywhere_has_the_same_result',
    'IgnoresTheEnd': 'the_end_of_the_work_ends_the_step',
    'HidesFailures': 'a_failure_of_the_staging_area_passes_through',
    'HidesTheLimit': 'output_beyond_the_limit_ends_the_step',
    'LeavesAFile': 'nothing_is_left_behind',
    'ReadsAllAtOnce': 'memory_does_not_grow_with_the_image',
}


@pytest.fixture(scope='module')
def failed(tmp_path_factory):
    """Step -> the claims that it failed."""
    return suite_runner.failed(
        tmp_path_factory.mktemp('suite'), 'StepContract',
        {'bad_steps.Good': '',
         **{f'bad_steps.{name}': claim for name, claim in BAD.items()}}, ('step',))


def test_a_good_step_is_accepted(failed):
    assert failed['bad_steps.Good'] == set()


@pytest.mark.parametrize('name', BAD)
def test_a_bad_step_is_found_by_its_claim(failed, name):
    assert failed[f'bad_steps.{name}'] == {BAD[name]}
