import ast
import json
import re
import unicodedata
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crots.text import gain, points, printable, printable_json

pytestmark = pytest.mark.safety

# Surrogates stand for the bytes of a file name that is no text.
TEXT = st.text(st.characters(codec=None))
WILD = (
    st.text(st.sampled_from("a[]\\\n\r\t\x00\x1b\x07\x7f\x85\x9b\u061c\u200e\u2028\u2029\u202e\u2066\u2069\udcff"))
    | TEXT
)


def obeyed(character):
    marks = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in marks


@given(WILD)
def test_nothing_is_left_that_a_terminal_obeys(text):
    assert not any(map(obeyed, printable(text)))
    printable(text).encode()  # no halves of characters


@given(WILD)
def test_what_was_there_can_be_read_back(text):
    plain = text.replace("\\", "/")
    # All else stays as it is, so that only the escapes have a backslash.
    back = re.sub(r"\\(x..|u....|[nrt])", lambda found: ast.literal_eval(f"'{found[0]}'"), printable(plain))
    assert back == plain


@given(WILD)
def test_json_says_the_same(text):
    shown = printable_json(json.dumps({text: text}, ensure_ascii=False))
    assert not any(map(obeyed, shown))
    assert json.loads(shown) == {text: text}


def test_words_are_left_alone():
    text = "C:\\city\\Straße 路 [red] 🙂"
    assert printable(text) == text
    assert printable("\x1b[31mred\u202e\n") == "\\x1b[31mred\\u202e\\n"


@pytest.mark.parametrize(
    ("gain", "said"), [(0.056, "+5.6"), (-0.001, "-0.1"), (0.0, "0.0"), (0.0004, "0.0"), (-0.0004, "0.0")]
)
def test_a_difference_that_is_shown_as_none_has_no_sign(gain, said):
    assert points(gain) == said


@given(st.floats(0, 1), st.floats(0, 1))
@example(0.63551, 0.58749)
def test_a_change_is_what_a_reader_subtracts(new, old):
    shown = Decimal(f"{100 * new:.1f}") - Decimal(f"{100 * old:.1f}")
    assert Decimal(points(gain(new, old))) == shown
