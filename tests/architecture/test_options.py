"""Every option has help, and every installed plugin is valid."""

import pytest

from glancelite import config, conformity, contract, loader


@pytest.mark.parametrize(('section', 'opt'), [
    pytest.param(section, opt, id=f'{section}.{opt.name}')
    for section, opts in config.list_opts() for opt in opts])
def test_every_option_has_help_that_is_a_sentence(section, opt):
    assert opt.help, f'[{section}] {opt.name} has no help'
    assert opt.help.rstrip()[-1] in '.)'


@pytest.mark.parametrize('layer', contract.LAYERS)
def test_every_installed_plugin_conforms_to_the_contract(layer):
    for plugin in loader.installed(layer).values():
        assert plugin.problem == ''
        assert conformity.violation(layer, plugin.kind) == ''
