"""The default rules are complete and documented."""

import pytest
from oslo_config import cfg

from glancelite.plugins.policy import rules

RULES = {rule.name: rule for rule in rules.list_rules()}


@pytest.mark.parametrize('rule', RULES.values(), ids=RULES)
def test_a_rule_is_described_in_a_sentence(rule):
    assert rule.description[0].isupper()
    assert rule.description.endswith('.')


def test_rule_names_are_unique():
    assert len(list(rules.list_rules())) == len(RULES)


@pytest.mark.parametrize('rule', [rule for rule in RULES.values() if rule.name != 'default'],
                         ids=lambda rule: rule.name)
def test_rules_require_tokens_for_projects(rule):
    assert rule.scope_types == ['project']


def test_the_sample_can_be_generated(tmp_path):
    from oslo_policy import generator

    generator.generate_sample(['--namespace', 'glancelite', '--output-file',
                               str(tmp_path / 'sample')], conf=cfg.ConfigOpts())

    sample = (tmp_path / 'sample').read_text()
    assert all(f'"{name}":' in sample for name in RULES)
