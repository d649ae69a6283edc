"""Every option has help, and every installed plugin is valid."""

import pytest

from glancelite import config, conformity, contract, loader


def test_every_option_has_help_that_is_a_sentence():
    helps = {f'[{section}] {opt.name}': (opt.help or '').rstrip()
             for section, opts in config.list_opts() for opt in opts}

    assert len(helps) > 100
    assert [name for name, text in helps.items() if text[-1:] not in ('.', ')')] == []


@pytest.mark.parametrize('layer', contract.LAYERS)
def test_every_installed_plugin_conforms_to_the_contract(layer):
    for plugin in loader.installed(layer).values():
        assert plugin.problem == ''
        assert conformity.violation(layer, plugin.kind) == ''
