"""Only drivers know the schemes of store URLs."""

import ast
import pathlib
import re

from glancelite import loader

ROOT = pathlib.Path(__file__).parents[2]
#: schemes that the core uses as a client or server of the web
WEB = {'http', 'https'}
#: also a field of images, and the default driver in the configuration
AMBIGUOUS = {'file'}
#: the option ``node_staging_uri`` of Glance is a URL of a directory, whatever the drivers are
STAGING = {'assembly/options.py', 'assembly/imports.py'}


def core():
    """Return all modules of the service except plugins and the conformance kit."""
    package = ROOT / 'glancelite'
    return [path for path in sorted(package.rglob('*.py'))
            if path.relative_to(package).parts[0] not in ('plugins', 'testing')]


def literals(path):
    """Yield ``(line, text)`` of each string literal that is not a docstring."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if (isinstance(node, ast.Constant) and isinstance(node.value, str)
                and id(node) not in docstrings):
            yield node.lineno, node.value


def schemes():
    """Return the schemes of the drivers in this package, and of well-known other ones."""
    declared = {scheme for plugin in loader.installed('store').values()
                if plugin.package == 'glancelite' for scheme in plugin.kind.SCHEMES}
    return declared - WEB | {'cinder', 'rbd', 's3', 'sheepdog', 'swift', 'vsphere'}


def test_the_core_names_no_scheme_of_a_driver():
    prefixes = '|'.join(map(re.escape, schemes()))
    words = '|'.join(map(re.escape, schemes() - AMBIGUOUS))
    scheme = re.compile(rf'\A({words})\Z|(?<!\w)({prefixes})://')

    assert [f'{path.relative_to(ROOT)}:{line}: {text!r}' for path in core()
            for line, text in literals(path) if scheme.search(
                text.replace('file://', '') if str(path.relative_to(ROOT / 'glancelite'))
                in STAGING else text)] == []
