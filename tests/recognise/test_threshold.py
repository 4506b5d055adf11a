"""A threshold moves when it was corrected often enough, and no further than was promised."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tagfs.recognise.adapting import LEAST, PROMISED, Sample, threshold

SHIPPED = 0.6
samples = st.lists(
    st.builds(Sample, st.floats(0.0, 0.999), st.none() | st.booleans()),
    max_size=40,
)


def seen(*confidences: float, word: bool | None = None) -> list[Sample]:
    return [Sample(confidence, word) for confidence in confidences]


def test_without_corrections_it_is_the_shipped_one() -> None:
    assert threshold([], SHIPPED) == SHIPPED
    assert threshold(seen(*[0.61] * 50), SHIPPED) == SHIPPED


def test_two_slips_change_nothing_three_do() -> None:
    right = seen(0.8, 0.9, 0.95)
    assert threshold(right + seen(0.61, 0.7, word=False), SHIPPED) == SHIPPED
    assert threshold(right + seen(0.61, 0.65, 0.7, word=False), SHIPPED) > 0.7


def test_one_in_ten_is_what_was_promised() -> None:
    assert threshold(seen(*[0.62] * 27) + seen(0.7, 0.7, 0.7, word=False), SHIPPED) == SHIPPED
    assert threshold(seen(*[0.62] * 26) + seen(0.7, 0.7, 0.7, word=False), SHIPPED) > 0.7


def test_it_stops_where_the_promise_is_kept() -> None:
    confident = seen(*[0.97] * 30)
    wrong = seen(0.62, 0.64, 0.66, 0.68, 0.9, word=False)
    found = threshold(confident + wrong, SHIPPED)
    assert found == 0.66  # three of 33 are fewer than one in ten, four are more


def test_it_stays_when_what_it_took_away_is_gone() -> None:
    between, wrong = seen(*[0.61] * 10), seen(0.62, 0.64, 0.66, 0.68, word=False)
    confident = seen(*[0.97] * 20)
    found = threshold(between + wrong + confident, SHIPPED)
    assert found > 0.61
    assert threshold(wrong + confident, SHIPPED) == found


def test_where_everything_was_wrong_only_what_is_surer_passes() -> None:
    found = threshold(seen(0.7, 0.8, 0.9, word=False), SHIPPED)
    assert 0.9 < found < 0.9 + 1e-9


def test_what_the_user_added_lowers_it_when_there_was_enough() -> None:
    some = seen(0.5, 0.45, 0.4, word=True)
    assert threshold(some, SHIPPED) == SHIPPED
    assert threshold(some * 5, SHIPPED) == 0.4
    assert threshold(some * 5 + seen(*[0.5] * 8, word=False), SHIPPED) == SHIPPED
    passed_over = [Sample(0.45, None, 8.0)]
    assert threshold(some * 5 + passed_over, SHIPPED) > 0.45


@given(samples)
def test_fewer_corrections_than_three_to_a_side_never_move_it(given_: list[Sample]) -> None:
    denied = [s for s in given_ if s.word is False and s.confidence >= SHIPPED]
    added = [s for s in given_ if s.word is True and s.confidence < SHIPPED]
    found = threshold(given_, SHIPPED)
    assert len(denied) >= LEAST or found <= SHIPPED
    assert len(added) >= LEAST or found >= SHIPPED


@given(samples)
def test_a_raised_threshold_keeps_the_promise_or_is_just_above_what_was_wrong(
    given_: list[Sample],
) -> None:
    found = threshold(given_, SHIPPED)
    passed = [s for s in given_ if s.confidence >= found]
    if found > SHIPPED:
        wrong = sum(s.word is False for s in passed)
        assert wrong <= (1 - PROMISED) * len(passed) + 1e-9
        assert found <= max(s.confidence for s in given_ if s.word is False) + 1e-9


@given(samples)
def test_photos_that_lost_the_tag_in_silence_change_nothing(given_: list[Sample]) -> None:
    found = threshold(given_, SHIPPED)
    gone = [s for s in given_ if s.word is None and SHIPPED <= s.confidence < found]
    left = [s for s in given_ if s not in gone]
    assert threshold(left, SHIPPED) == found


@given(samples, st.integers(2, 9))
def test_one_that_stands_for_several_is_as_good_as_these(given_: list[Sample], times: int) -> None:
    spoken = [s for s in given_ if s.word is not None]
    silent = [s for s in given_ if s.word is None]
    assert threshold(spoken + silent * times, SHIPPED) == threshold(
        spoken + [Sample(s.confidence, None, times) for s in silent], SHIPPED
    )


@given(samples, st.floats(SHIPPED, 1.0))
def test_a_confirmation_never_raises_it(given_: list[Sample], confidence: float) -> None:
    assert threshold([*given_, Sample(confidence, True)], SHIPPED) <= threshold(given_, SHIPPED)
