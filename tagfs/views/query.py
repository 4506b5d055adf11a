"""The query grammar of ``search/``, ``tagfs search`` and ``--where``: text to tree and back.

Pure. What is read is a tree of terms (views/terms.py), which says how it is answered.

::

    query   = any
    any     = all { "or" all }
    all     = factor { [ "and" ] factor }
    factor  = ( "not" | "-" ) factor | "(" any ")" | term
    term    = value | field ":" value
    value   = bare | '"' { character | '\\"' | '\\\\' } '"'
    field   = person place date type camera lens name conf is like

A bare value ends at white space, a bracket or a quote. Keywords and fields are written in any
case; ``"or"`` in quotes is a tag. Dates are days, months or years, alone or as a range with
one end left out: ``2024``, ``2024-05..2024-07``, ``2024-05-03..``; both ends are included.
``conf:>0.8`` says how sure the recogniser has to be of the tags it stands beside:
``dog conf:>0.8`` finds dogs that were recognised with more than 0.8, whatever else is in the
picture; ``conf:0.8`` means at least.
"""

from __future__ import annotations

import calendar
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from tagfs.errors import Usage
from tagfs.views.terms import (
    And,
    Camera,
    Conf,
    DateIn,
    Flag,
    Is,
    Leaf,
    Lens,
    Like,
    NameGlob,
    Not,
    Or,
    Person,
    PlaceIs,
    Query,
    Tag,
    Type,
)

MAX_LENGTH = 4096
"""Characters of a query, at most."""
MAX_DEPTH = 64
"""Brackets and negations within each other, at most."""


class QuerySyntax(Usage):
    """A query that cannot be read. The message shows the place with a caret.

    ``position`` counts characters from 0; ``problem`` is one clause. The mount answers EINVAL.
    """

    def __init__(self, text: str, position: int, problem: str) -> None:
        shown = "".join(c if c.isprintable() else "?" for c in text)
        caret = " " * sum(_columns(c) for c in shown[:position]) + "^"
        super().__init__(f"The query is not understood: {problem}.\n  {shown}\n  {caret}")
        self.position = position
        self.problem = problem


def parse(text: str) -> Query:
    """Read a query; raises QuerySyntax."""
    return _Parser(text).read()


def format(query: Query) -> str:
    """Return a text that `parse` reads as this very query."""
    match query:
        case Or(items):
            return " or ".join(format(item) for item in items)
        case And(items):
            return " ".join(_bracketed(item, Or) for item in items)
        case Not(item):
            return "-" + _bracketed(item, And, Or)
        case Tag(word):
            return _value(word, is_tag=True)
        case Person(name):
            return "person:" + _value(name)
        case PlaceIs(name):
            return "place:" + _value(name)
        case DateIn(first, last):
            return "date:" + _span(first, last)
        case Type(kind):
            return "type:" + kind
        case Camera(name):
            return "camera:" + _value(name)
        case Lens(name):
            return "lens:" + _value(name)
        case NameGlob(pattern):
            return "name:" + _value(pattern)
        case Conf(op, value):
            return f"conf:{op}{value!r}"
        case Is(flag):
            return "is:" + flag.value
        case Like(photo):
            return "like:" + _value(photo)


# -- reading -----------------------------------------------------------------------------------

_KEYWORDS = ("and", "or", "not")
_STOPS = '()"'
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_CONF = re.compile(r"(>=|<=|>|<|=)?([0-9]*\.?[0-9]+(?:[eE]-?[0-9]+)?)")
_KIND = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_FLAGS = {flag.value: flag for flag in Flag} | {"favorite": Flag.FAVOURITE}


@dataclass(frozen=True, slots=True)
class _Token:
    position: int
    text: str  # "(", ")", "-", a keyword in lower case, or what a term is made of
    term: Leaf | None = None


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) > MAX_LENGTH:
            raise QuerySyntax(text[:40], 40, f"it has more than {MAX_LENGTH} characters")
        self._tokens = list(self._scan())
        self._next = 0

    def read(self) -> Query:
        if not self._tokens:
            raise self._wrong(0, "it is empty")
        query = self._any(0)
        if self._next < len(self._tokens):
            raise self._wrong(self._tokens[self._next].position, "nothing was opened here")
        return query

    def _wrong(self, position: int, problem: str) -> QuerySyntax:
        return QuerySyntax(self._text, position, problem)

    def _peek(self) -> str | None:
        """What kind of token comes next: a bracket, keyword, "-" or "term"; None at the end."""
        if self._next == len(self._tokens):
            return None
        token = self._tokens[self._next]
        return token.text if token.term is None else "term"

    def _any(self, depth: int) -> Query:
        items = [self._all(depth)]
        while self._peek() == "or":
            self._next += 1
            items.append(self._all(depth))
        return _flat(Or, items)

    def _all(self, depth: int) -> Query:
        items = [self._factor(depth)]
        while (kind := self._peek()) not in (None, "or", ")"):
            if kind == "and":
                self._next += 1
            items.append(self._factor(depth))
        return _flat(And, items)

    def _factor(self, depth: int) -> Query:
        if self._next == len(self._tokens):
            raise self._wrong(len(self._text), "a word is missing at the end")
        token = self._tokens[self._next]
        if depth > MAX_DEPTH:
            raise self._wrong(token.position, f"it is nested more than {MAX_DEPTH} deep")
        self._next += 1
        if token.term is not None:
            return token.term
        if token.text in ("-", "not"):
            return Not(self._factor(depth + 1))
        if token.text == "(":
            query = self._any(depth + 1)
            if self._peek() != ")":
                raise self._wrong(token.position, "this bracket is not closed")
            self._next += 1
            return query
        raise self._wrong(token.position, f"a word is missing before {token.text!r}")

    def _scan(self) -> Iterator[_Token]:
        text, at = self._text, 0
        while at < len(text):
            if text[at].isspace():
                at += 1
            elif text[at] in "()":
                yield _Token(at, text[at])
                at += 1
            elif text[at] == "-":
                if at + 1 == len(text) or text[at + 1].isspace() or text[at + 1] == ")":
                    raise self._wrong(at, "a word is missing after '-'")
                yield _Token(at, "-")
                at += 1
            elif text[at] == '"':
                word, end = self._quoted(at)
                yield _Token(at, word, Tag(word))
                at = end
            else:
                token, at = self._term(at)
                yield token

    def _term(self, at: int) -> tuple[_Token, int]:
        bare, end = self._bare(at)
        if bare.lower() in _KEYWORDS and not self._text.startswith('"', end):
            return _Token(at, bare.lower()), end
        field, colon, value = bare.partition(":")
        if not colon:
            if self._text.startswith('"', end):
                raise self._wrong(end, "a quote within a word: put quotes round the whole of it")
            return _Token(at, bare, Tag(bare)), end
        start = at + len(field) + 1
        if self._text.startswith('"', end):
            if value:
                raise self._wrong(end, "a quote within a value: put quotes round the whole of it")
            value, end = self._quoted(end)
        term = self._field(field.lower(), value, at, start)
        return _Token(at, bare, term), end

    def _bare(self, at: int) -> tuple[str, int]:
        end = at
        while end < len(self._text):
            if self._text[end].isspace() or self._text[end] in _STOPS:
                break
            if 0xD800 <= ord(self._text[end]) < 0xE000:
                raise self._wrong(end, "this is not UTF-8")
            end += 1
        return self._text[at:end], end

    def _quoted(self, at: int) -> tuple[str, int]:
        word: list[str] = []
        end = at + 1
        while end < len(self._text) and self._text[end] != '"':
            if self._text[end] == "\\" and self._text[end + 1 : end + 2] in ('"', "\\"):
                end += 1
            if 0xD800 <= ord(self._text[end]) < 0xE000:
                raise self._wrong(end, "this is not UTF-8")
            word.append(self._text[end])
            end += 1
        if end == len(self._text):
            raise self._wrong(at, "this quote is not closed")
        if not word:
            raise self._wrong(at, "there is nothing between the quotes")
        end += 1
        if end < len(self._text) and not self._text[end].isspace() and self._text[end] not in "()":
            raise self._wrong(end, "white space is missing after the quote")
        return "".join(word), end

    def _field(self, field: str, value: str, at: int, start: int) -> Leaf:
        if field not in _FIELDS:
            known = ", ".join(sorted(_FIELDS))
            raise self._wrong(
                at, f"there is no field {field!r} (there are {known}; for a tag, use quotes)"
            )
        if not value:
            raise self._wrong(start, f"a value is missing after {field!r}")
        try:
            return _FIELDS[field](value)
        except ValueError as error:
            raise self._wrong(start, str(error)) from None


def _flat(kind: type[And] | type[Or], items: list[Query]) -> Query:
    """Join items, taking those of the same kind apart: brackets that change nothing vanish."""
    if len(items) == 1:
        return items[0]
    flat: list[Query] = []
    for item in items:
        flat.extend(item.items if isinstance(item, kind) else (item,))
    return kind(tuple(flat))


def _read_date(value: str) -> DateIn:
    start, dots, end = value.partition("..")
    first = _days(start)[0] if start else None
    last = _days(end)[1] if end else None if dots else _days(start)[1]
    if first is None and last is None:
        raise ValueError("a range needs a beginning or an end")
    if first is not None and last is not None and first > last:
        raise ValueError("the range ends before it begins")
    return DateIn(first, last)


def _days(text: str) -> tuple[date, date]:
    """Return the first and last day of ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no date: write 2024, 2024-05 or 2024-05-03")
    year, month, day = (None if part is None else int(part) for part in found.groups())
    try:
        first = date(year or 0, month or 1, day or 1) if day != 0 and month != 0 else None
    except ValueError:
        first = None
    if first is None:
        raise ValueError(f"there is no day {text!r} in the calendar")
    if day is not None:
        return first, first
    until = month or 12
    return first, date(first.year, until, calendar.monthrange(first.year, until)[1])


def _read_conf(value: str) -> Conf:
    found = _CONF.fullmatch(value)
    if found is None or not 0 <= (number := float(found[2])) <= 1:
        raise ValueError("a confidence is a number from 0 to 1, such as >0.8")
    return Conf(found[1] or ">=", number)


def _read_type(value: str) -> Type:
    kind = value.lower()
    if _KIND.fullmatch(kind) is None:
        raise ValueError("a type is video, photo, or a format such as heic")
    return Type("photo" if kind == "image" else kind)


def _read_flag(value: str) -> Is:
    flag = _FLAGS.get(value.lower())
    if flag is None:
        raise ValueError("'is' takes " + ", ".join(flag.value for flag in Flag))
    return Is(flag)


_FIELDS: dict[str, Callable[[str], Leaf]] = {
    "person": Person,
    "place": PlaceIs,
    "date": _read_date,
    "type": _read_type,
    "camera": Camera,
    "lens": Lens,
    "name": NameGlob,
    "conf": _read_conf,
    "is": _read_flag,
    "like": Like,
}


# -- writing -----------------------------------------------------------------------------------


def _bracketed(query: Query, *kinds: type[And] | type[Or]) -> str:
    text = format(query)
    return f"({text})" if isinstance(query, kinds) else text


def _value(word: str, is_tag: bool = False) -> str:
    plain = not any(c.isspace() or c in _STOPS for c in word)
    if plain and is_tag:
        plain = word[0] != "-" and ":" not in word and word.lower() not in _KEYWORDS
    if plain:
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _span(first: date | None, last: date | None) -> str:
    if first is not None and last is not None:
        for text in (first.isoformat()[:4], first.isoformat()[:7], first.isoformat()):
            if _days(text) == (first, last):
                return text
    start = "" if first is None else first.isoformat()
    end = "" if last is None else last.isoformat()
    return f"{start}..{end}"


def _columns(character: str) -> int:
    """How many columns of a terminal a character takes."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
