"""One version of the rules, evaluated fast.

``Enforcer.enforce`` takes hundreds of microseconds.  The part of a rule that depends on
the caller (roles, project, ...) has the same result for many requests, so it is evaluated
once for each kind of caller; what remains is True, False, or a few comparisons with
fields of the target.  A rule with other checks than the common ones, such as a request to
a remote server, is evaluated by the library each time.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from oslo_policy import policy

from glancelite.contract import IMAGE_FIELDS, Context, Image
from glancelite.contract.metadef import Namespace
from glancelite.contract.policy import Target, TargetT
from glancelite.plugins.policy import partial
from glancelite.plugins.policy import rules as defaults

#: name in a rule -> field of ``Context``
CREDENTIALS = {
    'user_id': 'user', 'user': 'user', 'user_domain_id': 'user_domain',
    'project_id': 'project', 'tenant': 'project', 'project_domain_id': 'project_domain',
    'roles': 'roles', 'service_roles': 'service_roles', 'is_admin': 'is_admin',
    'system_scope': 'system_scope', 'domain_id': 'domain',
}
#: fields of ``Image`` that rules can use: without the URLs of the data and internal fields
ATTRIBUTES = tuple(sorted(set(IMAGE_FIELDS) - {
    'properties', 'locations', 'revision', 'membership', 'attempt', 'lease_until'}))
#: name in a rule -> field of ``Namespace``
NAMESPACE_NAMES = {
    'project_id': 'owner', 'owner': 'owner', 'visibility': 'visibility',
    'namespace': 'namespace', 'protected': 'protected',
}
#: most results in the cache
CACHE_SIZE = 4096
#: fields of ``Context`` that are always part of the key of the cache: those that the default
#: rules use, and the scope of the token
_ALWAYS = ('project', 'roles', 'system_scope', 'domain')


class RuleSet:
    """The rules of the files, completed by the defaults.

    :raises ValueError: a rule is invalid, or refers to itself.
    """

    def __init__(self, conf: Any):
        self._enforcer = policy.Enforcer(conf)
        self._enforcer.suppress_deprecation_warnings = True     # the engine logs one line
        self._enforcer.register_defaults(list(defaults.list_rules()))
        self._enforcer.load_rules()
        self._enforcer.use_conf = False     # the enforcer must not read files later
        self._rules = self._enforcer.rules
        self._check_rules()
        mentioned = {name.split('.')[0] for rule in self._rules.values()
                     for name in _kinds(rule)}
        self._caller_key = operator.attrgetter(*_ALWAYS, *sorted(
            {CREDENTIALS[name] for name in mentioned & CREDENTIALS.keys()} - set(_ALWAYS)))
        self._evaluators = partial.evaluators()
        self._cache: dict[Any, bool | partial.Test | None] = {}

    def allows(self, ctx: Context, action: str, about: Target | None,
               member: str | None) -> bool:
        """Return whether the caller may do this.

        :raises Exception: a remote or custom check has failed.
        """
        result = self._result(ctx, action, _kind(about))
        if result is True or result is False:
            return result
        if result is None:
            return self._enforce(ctx, action, about, member)
        return result(about, member)

    def may_ever(self, ctx: Context, action: str) -> bool:
        """Return False if the caller alone makes the rule fail, whatever the target is."""
        return self._result(ctx, action, Image) is not False

    def filter(self, ctx: Context, action: str,
               targets: Sequence[TargetT]) -> Sequence[TargetT]:
        """:param targets: of one kind."""
        if not targets:
            return targets
        result = self._result(ctx, action, _kind(targets[0]))
        if result is True:
            return targets
        if result is False:
            return []
        if result is None:
            return [about for about in targets if self._enforce(ctx, action, about, None)]
        return [about for about in targets if result(about, None)]

    def _result(self, ctx: Context, action: str, kind: type) -> bool | partial.Test | None:
        """Return the result of ``_evaluate``, from the cache if possible."""
        key = (action, kind, self._caller_key(ctx))
        try:
            return self._cache[key]
        except KeyError:
            pass
        result = self._evaluate(ctx, action, kind)
        if len(self._cache) >= CACHE_SIZE:
            self._cache.clear()         # cheaper than an order of use
        self._cache[key] = result
        return result

    def _evaluate(self, ctx: Context, action: str, kind: type) -> bool | partial.Test | None:
        """Return True, False, a test of the target and member, or None: the library decides.

        :param kind: the class of the target, see ``_kind``.
        """
        try:
            rule = self._rules[action]
        except KeyError:
            return False
        registered = self._enforcer.registered_rules.get(action)
        if registered and registered.scope_types and _scope(ctx) not in registered.scope_types:
            return False
        readers = {Image: _image_reader, Namespace: _namespace_reader}
        reader = readers.get(kind, _targetless_reader)
        try:
            return partial.Evaluation(
                self._evaluators, self._rules, credentials(ctx), reader(ctx)).evaluate(rule)
        except partial.NotSupported:
            return None

    def _enforce(self, ctx: Context, action: str, about: Target | None,
                 member: str | None) -> bool:
        return bool(self._enforcer.enforce(action, target(ctx, about, member), credentials(ctx)))

    def _check_rules(self) -> None:
        """Raise ``ValueError`` for an invalid rule; the library parses it as a refusal."""
        for name, rule in self._enforcer.file_rules.items():
            text = str(rule.check_str)
            if '!' not in text and any(str(part) == '!' for part in _parts(rule.check)):
                raise ValueError(f'rule {name!r} cannot be parsed: {text!r}')
        for name in self._rules:
            self._check_references(name, ())

    def _check_references(self, name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise ValueError(f'rule {name!r} refers to itself: {" -> ".join((*path, name))}')
        if name in self._rules:
            for part in _parts(self._rules[name]):
                if isinstance(part, policy.RuleCheck):
                    self._check_references(part.match, (*path, name))


def _kind(about: Target | None) -> type:
    if about is None:
        return type(None)
    return Image if isinstance(about, Image) else Namespace


def _image_reader(ctx: Context) -> partial.Reader:
    caller = ctx.project

    def member_id(image: Image, member: str | None) -> str | None:
        if member is None and image.membership is not None:
            return caller
        return member

    special: dict[str, Callable[[Any, Any], Any]] = {
        'project_id': lambda image, member: image.owner,
        'member_id': member_id,
        'image_id': lambda image, member: image.id,
        'visibility': lambda image, member: image.visibility,
    }

    def reader(name: str) -> Callable[[Any, Any], Any]:
        if name in special:
            return special[name]
        if name in ATTRIBUTES:
            return lambda image, member: str(_plain(getattr(image, name)))
        return lambda image, member: image.properties.get(name)

    return reader


def _namespace_reader(ctx: Context) -> partial.Reader:

    def reader(name: str) -> Callable[[Any, Any], Any] | None:
        if name == 'member_id':
            return lambda namespace, member: member
        if name not in NAMESPACE_NAMES:
            return None
        field = NAMESPACE_NAMES[name]
        return lambda namespace, member: str(getattr(namespace, field))

    return reader


def _targetless_reader(ctx: Context) -> partial.Reader:
    """For actions without a target: it is the caller's own project.

    A caller without a project matches as well: it may list what everybody sees.
    """
    fixed = {'project_id': str(ctx.project), 'owner': str(ctx.project)}

    def reader(name: str) -> Callable[[Any, Any], Any] | str | None:
        return (lambda image, member: member) if name == 'member_id' else fixed.get(name)

    return reader


def target(ctx: Context, about: Target | None, member: str | None) -> dict[str, Any]:
    """Return the target for the library; custom properties never hide attributes."""
    values: dict[str, Any]
    if about is None:
        values = {'owner': ctx.project, 'project_id': ctx.project}
    elif isinstance(about, Namespace):
        values = {name: getattr(about, field) for name, field in NAMESPACE_NAMES.items()}
    else:
        values = _image_values(about)
        if member is None and about.membership is not None:
            member = ctx.project
        # without the key, no caller matches, not even one without a project
        if about.owner is not None:
            values['project_id'] = about.owner
    if member is not None:
        values['member_id'] = member
    return values


def _image_values(image: Image) -> dict[str, Any]:
    return {**{name: value for name, value in image.properties.items()
               if name not in ('project_id', 'member_id')},
            **{name: _plain(getattr(image, name)) for name in ATTRIBUTES},
            'image_id': image.id}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def credentials(ctx: Context) -> dict[str, Any]:
    """Return the credentials for the library, as oslo.context has them; without secrets."""
    values = {name: getattr(ctx, field) for name, field in CREDENTIALS.items()}
    values['roles'] = sorted(ctx.roles)
    values['service_roles'] = sorted(ctx.service_roles)
    if ctx.system_scope:
        values['system'] = ctx.system_scope
    return values


def _scope(ctx: Context) -> str:
    if ctx.system_scope:
        return 'system'
    return 'domain' if ctx.domain else 'project'


def _parts(check: Any) -> Iterator[Any]:
    """Yield a check and all that it consists of, without following references to rules."""
    yield check
    inner: Sequence[Any] = ()
    if isinstance(check, (policy.AndCheck, policy.OrCheck)):
        inner = check.rules
    elif isinstance(check, policy.NotCheck):
        inner = [check.rule]
    for part in inner:
        yield from _parts(part)


def _kinds(check: Any) -> set[str]:
    return {part.kind for part in _parts(check) if isinstance(part, policy.Check)}
