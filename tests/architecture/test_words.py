"""Texts use plain words: see the style in doc/glossary.md."""

import io
import pathlib
import re
import tokenize

ROOT = pathlib.Path(__file__).parents[2]
#: words and phrases that are not used for programs, plugins or callers, or that riddle
AVOIDED = re.compile(r"""
    \b(?: whoever | whomever | nobody | somebody | he | him | his | himself | she | hers? | treaty
        | riddles? | (?:does|do) \s not \s do | (?:is|are) \s content \s with
        | with(?:out)? \s eyes | has \s to \s say | an \s end \s to \s it | minds? \s that
        | lets? \s us \s wait | gives? \s up \s on )\b
""", re.VERBOSE | re.IGNORECASE)
#: f-strings are tokens of their own since Python 3.12
TEXTS = {tokenize.COMMENT, tokenize.STRING,
         getattr(tokenize, 'FSTRING_MIDDLE', tokenize.STRING)}
#: names and quotations that contain such a word
ALLOWED = re.compile(r"'nobody'|user nobody|nobody:")


def prose(path):
    """Yield ``(line, text)`` of the comments, strings and documentation of a file."""
    text = path.read_text(encoding='utf-8')
    if path.suffix == '.md':
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in TEXTS:
            yield from enumerate(token.string.splitlines(), token.start[0])


def test_texts_avoid_words_that_are_hard_to_understand():
    files = [*(ROOT / 'glancelite').rglob('*.py'), *(ROOT / 'doc').glob('*.md'),
             ROOT / 'README.md', ROOT / 'CONTRIBUTING.md']

    assert [f'{path.relative_to(ROOT)}:{line}: {avoided[0]}' for path in sorted(files)
            for line, text in prose(path)
            for avoided in AVOIDED.finditer(ALLOWED.sub('', text))] == []
