"""The default rules are complete and documented."""

import pytest

from glancelite.plugins.policy import rules

RULES = {rule.name: rule for rule in rules.list_rules()}


@pytest.mark.parametrize('rule', RULES.values(), ids=RULES)
def test_a_rule_says_in_a_sentence_what_it_allows(rule):
    assert rule.description[0].isupper()
    assert rule.description.endswith('.')


def test_no_rule_is_there_twice():
    assert len(list(rules.list_rules())) == len(RULES)


@pytest.mark.parametrize('rule', [rule for rule in RULES.values() if rule.name != 'default'],
                         ids=lambda rule: rule.name)
def test_tokens_are_for_projects(rule):
    assert rule.scope_types == ['project']


def test_the_sample_can_be_generated(tmp_path):
    from oslo_policy import generator

    generator.generate_sample(['--namespace', 'glancelite', '--output-file',
                               str(tmp_path / 'sample')])

    sample = (tmp_path / 'sample').read_text()
    assert all(f'"{name}":' in sample for name in RULES)
