from __future__ import annotations

import string
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from tagfs.errors import Usage
from tagfs.views import query as grammar
from tagfs.views.query import QuerySyntax, parse
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
    evaluate,
    tags_of,
)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("dog", Tag("dog")),
        ("dog beach", And((Tag("dog"), Tag("beach")))),
        ("dog and beach", And((Tag("dog"), Tag("beach")))),
        ("dog beach -person:anna", And((Tag("dog"), Tag("beach"), Not(Person("anna"))))),
        ("dog or cat beach", Or((Tag("dog"), And((Tag("cat"), Tag("beach")))))),
        ("(dog OR cat) beach", And((Or((Tag("dog"), Tag("cat"))), Tag("beach")))),
        ("not dog", Not(Tag("dog"))),
        ("-(dog cat)", Not(And((Tag("dog"), Tag("cat"))))),
        ("--dog", Not(Not(Tag("dog")))),
        ('"golden retriever"', Tag("golden retriever")),
        ('-"hot dog"', Not(Tag("hot dog"))),
        ('"or"', Tag("or")),
        ('"person:anna"', Tag("person:anna")),
        (r'"say \"hi\" \\ \n"', Tag('say "hi" \\ \\n')),
        ('person:"Anna Maria"', Person("Anna Maria")),
        ("PLACE:rome", PlaceIs("rome")),
        ("x-ray", Tag("x-ray")),
        ("(a (b c)) d", And((Tag("a"), Tag("b"), Tag("c"), Tag("d")))),
        ("date:2024", DateIn(date(2024, 1, 1), date(2024, 12, 31))),
        ("date:2024-02", DateIn(date(2024, 2, 1), date(2024, 2, 29))),
        ("date:2024-02-03", DateIn(date(2024, 2, 3), date(2024, 2, 3))),
        ("date:2024-05..2024-07", DateIn(date(2024, 5, 1), date(2024, 7, 31))),
        ("date:2024-05..", DateIn(date(2024, 5, 1), None)),
        ("date:..2024", DateIn(None, date(2024, 12, 31))),
        ("type:video", Type("video")),
        ("type:IMAGE", Type("photo")),
        ("camera:iphone", Camera("iphone")),
        ('LENS:"24-105mm f/4"', Lens("24-105mm f/4")),
        ("name:*.heic", NameGlob("*.heic")),
        ("name:a:b", NameGlob("a:b")),
        ("conf:>0.8", Conf(">", 0.8)),
        ("conf:.5", Conf(">=", 0.5)),
        ("is:favorite", Is(Flag.FAVOURITE)),
        ("is:offline", Is(Flag.OFFLINE)),
        ("like:IMG_2041.jpg", Like("IMG_2041.jpg")),
        ("  dog\tcat ", And((Tag("dog"), Tag("cat")))),
    ],
)
def test_what_the_design_promises_is_read(text: str, query: Query) -> None:
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "position", "part"),
    [
        ("", 0, "empty"),
        ("   ", 0, "empty"),
        ("dog (beach", 4, "not closed"),
        ("dog)", 3, "nothing was opened"),
        ("()", 1, "before ')'"),
        ("dog or", 6, "at the end"),
        ("or dog", 0, "before 'or'"),
        ("dog or or cat", 7, "before 'or'"),
        ("dog and or cat", 8, "before 'or'"),
        ("dog -", 4, "after '-'"),
        ("not", 3, "at the end"),
        ('"dog', 0, "not closed"),
        ('dog ""', 4, "nothing between"),
        ('do"g"', 2, "within a word"),
        ('"dog"cat', 5, "white space"),
        ('name:a"b"', 6, "within a value"),
        ("persn:anna", 0, "no field 'persn'"),
        ("person:", 7, "value is missing"),
        ("dog lens:", 9, "value is missing"),
        ("lense:50mm", 0, "lens, like"),
        ("date:yesterday", 5, "is no date"),
        ("date:2024-13", 5, "no day '2024-13'"),
        ("date:2023-02-29", 5, "calendar"),
        ("date:0000", 5, "calendar"),
        ("date:2024-00", 5, "calendar"),
        ("date:2024-01-00", 5, "calendar"),
        ("date:..", 5, "beginning or an end"),
        ("date:2024..2023", 5, "ends before"),
        ("conf:high", 5, "from 0 to 1"),
        ("conf:>1.5", 5, "from 0 to 1"),
        ("is:nice", 3, "favourite"),
        ("type:a/b", 5, "format"),
        ("dog \udcff", 4, "UTF-8"),
        ('"\udcff"', 1, "UTF-8"),
        ("(" * 100 + "a", 65, "deep"),
        ("-" * 5000 + "a", 40, "characters"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, position: int, part: str) -> None:
    with pytest.raises(QuerySyntax) as caught:
        parse(text)
    assert caught.value.position == position
    assert part in caught.value.problem


def test_the_message_has_a_caret_below_the_mistake() -> None:
    with pytest.raises(Usage) as caught:
        parse("dog (beach")
    assert str(caught.value).splitlines() == [
        "The query is not understood: this bracket is not closed.",
        "  dog (beach",
        "      ^",
    ]


def test_the_caret_counts_the_columns_of_wide_and_combining_characters() -> None:
    with pytest.raises(QuerySyntax) as caught:
        parse("犬 é (b")
    assert str(caught.value).splitlines()[2] == "  " + " " * 5 + "^"


def test_a_message_never_carries_control_characters() -> None:
    with pytest.raises(QuerySyntax) as caught:
        parse("\x1b[31m (b")
    assert "\x1b" not in str(caught.value)


def test_the_words_of_a_query_are_collected_once_each_also_negated_ones() -> None:
    query = parse('dog (cat or "golden retriever") -dog person:anna -fish')
    assert tags_of(query) == ("dog", "cat", "golden retriever", "fish")


@pytest.mark.parametrize(
    "text",
    [
        "dog or cat beach",
        "(dog or cat) -(beach sea)",
        '"golden retriever" "or" person:"Anna Maria" name:*.heic',
        "date:2024 date:2024-05 date:2024-05-03 date:2024-05-03..2024-05-04 date:..2024-05-03",
        "conf:>0.8 is:favourite type:video",
    ],
)
def test_a_query_is_written_as_people_write_it(text: str) -> None:
    assert grammar.format(parse(text)) == text


# -- properties --------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
days = st.dates()


@st.composite
def date_ranges(draw: Callable[[Any], Any]) -> DateIn:
    first, last = draw(st.none() | days), draw(days)
    if first is not None and first > last:
        first, last = last, first
    return DateIn(last, None) if draw(st.booleans()) else DateIn(first, last)


terms: st.SearchStrategy[Leaf] = st.one_of(
    texts.map(Tag),
    st.sampled_from(["and", "OR", "not", "-x", "a:b", "(", "\\", '"']).map(Tag),
    texts.map(Person),
    texts.map(PlaceIs),
    date_ranges(),
    st.sampled_from(["video", "photo", "heic", "svg+xml"]).map(Type),
    texts.map(Camera),
    texts.map(Lens),
    texts.map(NameGlob),
    st.builds(Conf, st.sampled_from([">", ">=", "<", "<=", "="]), st.floats(0, 1).map(abs)),
    st.sampled_from(Flag).map(Is),
    texts.map(Like),
)


def joined(kind: type[And] | type[Or], items: list[Query]) -> Query:
    return kind(tuple(items)) if not any(isinstance(item, kind) for item in items) else items[0]


def queries(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Query]:
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            inner.map(Not),
            st.builds(lambda i: joined(And, i), st.lists(inner, min_size=2, max_size=4)),
            st.builds(lambda i: joined(Or, i), st.lists(inner, min_size=2, max_size=4)),
        ),
        max_leaves=12,
    )


@given(queries(terms))
def test_what_is_written_is_read_as_the_same_query(query: Query) -> None:
    assert parse(grammar.format(query)) == query


pieces = st.sampled_from(
    [*'()"-: \\', "or ", "and ", "not ", "dog ", "name:", "date:", "2024", ".."]
)


def position_of_mistake(text: str) -> int | None:
    try:
        query = parse(text)
    except QuerySyntax as error:
        return error.position
    assert parse(grammar.format(query)) == query
    return None


@given(st.text(string.printable + "é犬\udc80", max_size=60) | st.lists(pieces).map("".join))
def test_any_text_is_a_query_or_a_mistake_with_a_place_in_it(text: str) -> None:
    position = position_of_mistake(text)
    assert position is None or 0 <= position <= len(text)


ALL = frozenset(range(12))
sets = st.fixed_dictionaries({w: st.frozensets(st.sampled_from(sorted(ALL))) for w in "abcd"})


def model(query: Query, tags: dict[str, frozenset[int]]) -> frozenset[int]:
    match query:
        case And(items):
            return frozenset.intersection(*(model(item, tags) for item in items))
        case Or(items):
            return frozenset.union(*(model(item, tags) for item in items))
        case Not(item):
            return ALL - model(item, tags)
        case Tag(word):
            return tags[word]
    raise AssertionError(query)


@given(queries(st.sampled_from("abcd").map(Tag)), sets)
def test_an_answer_is_what_sets_of_numbers_say(
    query: Query, tags: dict[str, frozenset[int]]
) -> None:
    maps = {word: BitMap(numbers) for word, numbers in tags.items()}

    def leaf(term: Leaf) -> BitMap:
        assert isinstance(term, Tag)
        return maps[term.word]

    found = evaluate(query, leaf, lambda: BitMap(ALL))
    assert frozenset(found) == model(query, tags)
    assert maps == {word: BitMap(numbers) for word, numbers in tags.items()}


def asked(text: str) -> list[Any]:
    seen: list[Any] = []

    def leaf(term: Leaf) -> BitMap:
        seen.append(term)
        return BitMap([1])

    evaluate(parse(text), leaf, lambda: BitMap([1, 2]))
    return seen


def test_a_confidence_goes_to_the_tags_beside_it() -> None:
    sure = Conf(">", 0.8)
    assert asked("dog conf:>0.8") == [Tag("dog", (sure,))]
    assert asked("(dog or cat) conf:>0.8") == [Tag("dog", (sure,)), Tag("cat", (sure,))]
    assert asked("conf:>0.8 (dog or (cat fish conf:<.9))")[1].confs == (sure, Conf("<", 0.9))
    assert asked("conf:>0.8 dog or cat") == [Tag("dog", (sure,)), Tag("cat")]


def test_a_confidence_does_not_weaken_a_negation() -> None:
    assert asked("dog -cat conf:>0.8") == [Tag("dog", (Conf(">", 0.8),)), Tag("cat")]


def test_a_confidence_without_a_tag_is_a_term_of_its_own() -> None:
    assert asked("conf:>0.8") == [Conf(">", 0.8)]
    assert asked("person:anna conf:>0.8") == [Person("anna"), Conf(">", 0.8)]
    assert asked("-dog conf:>0.8") == [Conf(">", 0.8), Tag("dog")]


@pytest.mark.parametrize(
    ("op", "below", "equal", "above"),
    [
        (">", False, False, True),
        (">=", False, True, True),
        ("<", True, False, False),
        ("<=", True, True, False),
        ("=", False, True, False),
    ],
)
def test_a_confidence_compares_as_it_is_written(
    op: str, below: bool, equal: bool, above: bool
) -> None:
    conf = Conf(op, 0.5)
    assert [conf.holds(x) for x in (0.4, 0.5, 0.6)] == [below, equal, above]
