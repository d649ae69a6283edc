"""Partial evaluation of rules: what remains to be checked when the caller is known."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Mapping
from typing import Any

#: the test that remains, with a target and a member
Test = Callable[[Any, Any], bool]
#: returns how to read the text of a name in a rule from a target and a member: a function,
#: a text that is the same for all, or None if there is no such text
Reader = Callable[[str], Callable[[Any, Any], Any] | str | None]


class NotSupported(Exception):
    """The library must evaluate this rule."""


def evaluators() -> Mapping[type, Callable[[Evaluation, Any], bool | Test]]:
    """Return an evaluator for each check class that is supported.

    Some of these classes are private in oslo.policy: the result is empty if a release of
    the library does not have them.
    """
    try:
        checks = importlib.import_module('oslo_policy._checks')
        return {
            checks.TrueCheck: lambda evaluation, check: True,
            checks.FalseCheck: lambda evaluation, check: False,
            checks.RuleCheck: Evaluation.rule_check, checks.RoleCheck: Evaluation.role_check,
            checks.NotCheck: Evaluation.not_check, checks.AndCheck: Evaluation.and_check,
            checks.OrCheck: Evaluation.or_check, checks.GenericCheck: Evaluation.generic_check,
        }
    except (ImportError, AttributeError):
        return {}


class Evaluation:
    """Evaluates rules for one caller.

    :param known: the result of ``evaluators``.
    :param rules: the checks by name of the rule.
    :param caller: the credentials of the caller, by name in a rule.
    """

    def __init__(self, known: Mapping[type, Callable[..., bool | Test]],
                 rules: Mapping[str, Any], caller: Mapping[str, Any], reader: Reader):
        self._evaluators = known
        self._rules = rules
        self._caller = caller
        self._roles = {role.lower() for role in caller['roles']}
        self._reader = reader

    def evaluate(self, check: Any) -> bool | Test:
        """Return the result if it depends on the caller only, otherwise the remaining test.

        :raises NotSupported: the rule has a check of another class, or an unusual one.
        """
        evaluator = self._evaluators.get(type(check))
        if evaluator is None:
            raise NotSupported
        return evaluator(self, check)

    def rule_check(self, check: Any) -> bool | Test:
        try:
            rule = self._rules[check.match]
        except KeyError:
            return False
        return self.evaluate(rule)

    def role_check(self, check: Any) -> bool | Test:
        if '%' in check.match:
            raise NotSupported
        return check.match.lower() in self._roles

    def not_check(self, check: Any) -> bool | Test:
        inner = self.evaluate(check.rule)
        if isinstance(inner, bool):
            return not inner
        return lambda target, member: not inner(target, member)

    def and_check(self, check: Any) -> bool | Test:
        results = [self.evaluate(rule) for rule in check.rules]
        if False in results:
            return False
        tests = [result for result in results if not isinstance(result, bool)]
        return _all_of(tests) if tests else True

    def or_check(self, check: Any) -> bool | Test:
        results = [self.evaluate(rule) for rule in check.rules]
        if True in results:
            return True
        tests = [result for result in results if not isinstance(result, bool)]
        return _any_of(tests) if tests else False

    def generic_check(self, check: Any) -> bool | Test:
        accepted = self._left_values(check.kind)
        if '%' not in check.match:
            return check.match in accepted
        name = check.match[2:-2]
        if check.match != f'%({name})s' or not {'%', '(', ')'}.isdisjoint(name):
            raise NotSupported
        read = self._reader(name)
        if read is None:
            return False
        if isinstance(read, str):
            return read in accepted
        return lambda target, member: read(target, member) in accepted

    def _left_values(self, kind: str) -> frozenset[str]:
        """Return the texts that the left side of a comparison stands for."""
        try:
            return frozenset((str(ast.literal_eval(kind)),))
        except ValueError:
            pass
        except Exception:           # the library raises it at each request
            raise NotSupported from None
        name, *path = kind.split('.')
        if name not in self._caller:
            return frozenset()
        if path:
            raise NotSupported
        value = self._caller[name]
        return frozenset(map(str, value)) if isinstance(value, list) else frozenset((str(value),))


def _any_of(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(target: Any, member: Any) -> bool:
        for each in tests:  # noqa: SIM110  a generator would take twice as long
            if each(target, member):
                return True
        return False
    return test


def _all_of(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(target: Any, member: Any) -> bool:
        for each in tests:  # noqa: SIM110
            if not each(target, member):
                return False
        return True
    return test
