"""One version of the rules, asked fast.

``Enforcer.enforce`` costs hundreds of microseconds.  What a rule says about
the caller (roles, project, ...) is the same for many requests, so it is worked
out once per kind of caller; what remains is a yes, a no, or a few comparisons
with fields of the image.  A rule that is not made of the library's plain checks,
such as one that asks a remote server, goes to the library each time.
"""

import ast
import operator

from oslo_policy import _checks as checks
from oslo_policy import policy

from glancelite.contract import IMAGE_FIELDS
from glancelite.plugins.policy import rules as defaults

#: name in a rule -> field of ``Context``
CREDENTIALS = {
    'user_id': 'user', 'user': 'user', 'user_domain_id': 'user_domain',
    'project_id': 'project', 'tenant': 'project', 'project_domain_id': 'project_domain',
    'roles': 'roles', 'service_roles': 'service_roles', 'is_admin': 'is_admin',
    'system_scope': 'system_scope', 'domain_id': 'domain',
}
#: fields of ``Image`` that rules may see: not the addresses of the data, nor our bookkeeping
ATTRIBUTES = tuple(sorted(set(IMAGE_FIELDS) - {
    'properties', 'locations', 'revision', 'membership', 'attempt', 'lease_until'}))
#: how many answers are remembered
MEMORY = 4096
#: what tells callers apart in every case: the usual rules, and the scope of the token
_ALWAYS = ('project', 'roles', 'system_scope', 'domain')


class _NotPlain(Exception):
    """This rule has to be evaluated by the library."""


class RuleSet:
    """The rules as they are in the files now, completed by the defaults.

    :raises ValueError: a rule cannot be understood, or refers to itself.
    """

    def __init__(self, conf):
        self._enforcer = policy.Enforcer(conf)
        self._enforcer.register_defaults(list(defaults.list_rules()))
        self._enforcer.load_rules()
        self._enforcer.use_conf = False     # from now on it looks at no file any more
        self._rules = self._enforcer.rules
        self._refuse_nonsense()
        mentioned = {name.split('.')[0] for rule in self._rules.values()
                     for name in _kinds(rule)}
        self._caller = operator.attrgetter(*_ALWAYS, *sorted(
            {CREDENTIALS[name] for name in mentioned & CREDENTIALS.keys()} - set(_ALWAYS)))
        self._remembered = {}

    def allows(self, ctx, action, image, member):
        """May the caller?  Raises what a remote or custom check raises."""
        answer = self._answer(ctx, action, image is None)
        if answer is True or answer is False:
            return answer
        if answer is None:
            return self._ask(ctx, action, image, member)
        return answer(image, member)

    def filter(self, ctx, action, images):
        answer = self._answer(ctx, action, False)
        if answer is True:
            return images
        if answer is False:
            return []
        if answer is None:
            return [image for image in images if self._ask(ctx, action, image, None)]
        return [image for image in images if answer(image, None)]

    def _answer(self, ctx, action, imageless):
        """True, False, a test of ``(image, member)``, or None: ask the library."""
        key = (action, imageless, self._caller(ctx))
        try:
            return self._remembered[key]
        except KeyError:
            pass
        answer = self._work_out(ctx, action, imageless)
        if len(self._remembered) >= MEMORY:
            self._remembered.clear()        # cheaper than to keep an order on every question
        self._remembered[key] = answer
        return answer

    def _work_out(self, ctx, action, imageless):
        try:
            rule = self._rules[action]
        except KeyError:
            return False
        registered = self._enforcer.registered_rules.get(action)
        if registered and registered.scope_types and _scope(ctx) not in registered.scope_types:
            return False
        readers = _imageless_readers(ctx) if imageless else _image_readers(ctx)
        try:
            return _Residue(self._rules, credentials(ctx), readers).of(rule)
        except _NotPlain:
            return None

    def _ask(self, ctx, action, image, member):
        return bool(self._enforcer.enforce(action, target(ctx, image, member), credentials(ctx)))

    def _refuse_nonsense(self):
        """The library turns what it cannot parse into a silent refusal; we say it."""
        for name, rule in self._enforcer.file_rules.items():
            text = str(rule.check_str)
            if '!' not in text and any(type(part) is checks.FalseCheck
                                       for part in _parts(rule.check)):
                raise ValueError(f'rule {name!r} cannot be understood: {text!r}')
        for name in self._rules:
            self._refuse_circle(name, ())

    def _refuse_circle(self, name, trail):
        if name in trail:
            raise ValueError(f'rule {name!r} refers to itself: {" -> ".join((*trail, name))}')
        if name in self._rules:
            for part in _parts(self._rules[name]):
                if type(part) is checks.RuleCheck:
                    self._refuse_circle(part.match, (*trail, name))


class _Residue:
    """What is left of a rule when the caller is known."""

    def __init__(self, rules, caller, readers):
        self._rules = rules
        self._caller = caller
        self._roles = {role.lower() for role in caller['roles']}
        self._readers = readers

    def of(self, check):
        make = self._MAKERS.get(type(check))
        if make is None:
            raise _NotPlain
        return make(self, check)

    def _rule(self, check):
        try:
            found = self._rules[check.match]
        except KeyError:
            return False
        return self.of(found)

    def _role(self, check):
        if '%' in check.match:
            raise _NotPlain
        return check.match.lower() in self._roles

    def _not(self, check):
        inner = self.of(check.rule)
        if isinstance(inner, bool):
            return not inner
        return lambda image, member: not inner(image, member)

    def _and(self, check):
        tests = [self.of(each) for each in check.rules]
        if False in tests:
            return False
        return _joined([test for test in tests if test is not True], all_of, True)

    def _or(self, check):
        tests = [self.of(each) for each in check.rules]
        if True in tests:
            return True
        return _joined([test for test in tests if test is not False], any_of, False)

    def _generic(self, check):
        accepted = self._accepted(check.kind)
        if '%' not in check.match:
            return check.match in accepted
        name = check.match[2:-2]
        if check.match != f'%({name})s' or '%' in name or ')' in name or '(' in name:
            raise _NotPlain
        read = self._readers(name)
        if read is None:
            return False
        if isinstance(read, str):
            return read in accepted
        return lambda image, member: read(image, member) in accepted

    def _accepted(self, kind):
        """The texts that the left side of a comparison stands for."""
        try:
            return frozenset((str(ast.literal_eval(kind)),))
        except ValueError:
            pass
        except Exception:           # the library lets it out, on each question
            raise _NotPlain from None
        head, *path = kind.split('.')
        if head not in self._caller:
            return frozenset()
        value = self._caller[head]
        if path:
            raise _NotPlain
        return frozenset(map(str, value)) if isinstance(value, list) else frozenset((str(value),))

    _MAKERS = {
        checks.TrueCheck: lambda self, check: True,
        checks.FalseCheck: lambda self, check: False,
        checks.RuleCheck: _rule, checks.RoleCheck: _role, checks.NotCheck: _not,
        checks.AndCheck: _and, checks.OrCheck: _or, checks.GenericCheck: _generic,
    }


def any_of(tests):
    def test(image, member):
        for each in tests:  # noqa: SIM110  a generator would cost twice as much
            if each(image, member):
                return True
        return False
    return test


def all_of(tests):
    def test(image, member):
        for each in tests:  # noqa: SIM110
            if not each(image, member):
                return False
        return True
    return test


def _joined(tests, join, nothing):
    if not tests:
        return nothing
    return tests[0] if len(tests) == 1 else join(tests)


def _image_readers(ctx):
    """Name in a rule -> how to read its text off an image; None is no text at all."""
    caller = ctx.project

    def member_id(image, member):
        if member is None and image.membership is not None:
            return caller
        return member

    special = {
        'project_id': lambda image, member: image.owner,
        'member_id': member_id,
        'image_id': lambda image, member: image.id,
        'visibility': lambda image, member: image.visibility,
    }

    def reader(name):
        if name in special:
            return special[name]
        if name in ATTRIBUTES:
            return lambda image, member: str(_plain(getattr(image, name)))
        return lambda image, member: image.properties.get(name)

    return reader


def _imageless_readers(ctx):
    """A action about no image is about the caller's own project."""
    fixed = {'project_id': ctx.project, 'owner': str(ctx.project)}

    def reader(name):
        return (lambda image, member: member) if name == 'member_id' else fixed.get(name)

    return reader


def target(ctx, image, member):
    """What the library is shown of an image; custom properties never hide attributes."""
    if image is None:
        shown = {'owner': ctx.project}
        owner = ctx.project
    else:
        shown = {name: value for name, value in image.properties.items()
                 if name not in ('project_id', 'member_id')}
        shown.update((name, _plain(getattr(image, name))) for name in ATTRIBUTES)
        shown['image_id'] = image.id
        owner = image.owner
        if member is None and image.membership is not None:
            member = ctx.project
    # What nobody is does not equal a caller without a project.
    if owner is not None:
        shown['project_id'] = owner
    if member is not None:
        shown['member_id'] = member
    return shown


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


def credentials(ctx):
    """The caller as oslo.context would show it to a rule; without secrets."""
    shown = {name: getattr(ctx, field) for name, field in CREDENTIALS.items()}
    shown['roles'] = sorted(ctx.roles)
    shown['service_roles'] = sorted(ctx.service_roles)
    if ctx.system_scope:
        shown['system'] = ctx.system_scope
    return shown


def _scope(ctx):
    if ctx.system_scope:
        return 'system'
    return 'domain' if ctx.domain else 'project'


def _parts(check):
    """A check and all that it is made of; rules it refers to are not followed."""
    yield check
    inner = getattr(check, 'rules', None) or [getattr(check, 'rule', None)]
    for each in inner:
        if isinstance(each, checks.BaseCheck):
            yield from _parts(each)


def _kinds(check):
    return {part.kind for part in _parts(check) if isinstance(part, checks.Check)}
