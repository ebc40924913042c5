import unicodedata

import pytest

from ftkit.data.cleaning.characters import (
    make_chinese,
    make_fix_encoding,
    make_normal_form,
    remove_control_characters,
)
from ftkit.data.cleaning.white_space import squeeze_white_space


def test_normal_forms_are_those_of_unicode():
    assert make_normal_form("NFC")("Cafe\u0301 ＡＢ，？") == "Café ＡＢ，？"
    assert (
        make_normal_form("NFKC")("Ｃafe\u0301，？")
        == unicodedata.normalize("NFKC", "Ｃafe\u0301，？")
        == "Café,?"
    )


@pytest.mark.parametrize(
    ("broken", "repaired"),
    [
        ("cafÃ© â€œquotedâ€\x9d", "café “quoted”"),
        ("Ãœber Ã¤hnliche FÃ¤lle", "Über ähnliche Fälle"),
        ("春眠不觉晓".encode().decode("latin-1"), "春眠不觉晓"),
    ],
)
def test_western_mojibake_is_repaired(broken, repaired):
    assert make_fix_encoding()(broken) == repaired


def test_utf8_that_was_read_as_chinese_is_repaired(poems):
    fix, num_repaired, num_broken = make_fix_encoding(), 0, 0
    for line in {poem[start : start + 4] for poem in poems for start in range(len(poem) - 4)}:
        if not line.isalpha():
            continue
        try:
            broken = line.encode().decode("gb18030")
        except UnicodeDecodeError:
            continue
        num_broken += 1
        num_repaired += fix(broken) == line
    assert num_broken > 100
    assert num_repaired == num_broken


def test_what_is_no_mojibake_stays(poems, pages, mails):
    fix = make_fix_encoding()
    for text in [*poems, "ﬁne ‘quotes’ “双引号” ＦＵＬＬ　width，？ &amp; <b> \x1b[1m 联通 naïve"]:
        assert fix(text) == text
    assert sum(fix(page) != page for page in pages) <= len(pages) // 20


def test_invisible_characters_go_and_joiners_stay():
    text = "\ufeffzero\u200bwidth\x00 \x9fcontrol\x07\tsoft\u00adhyphen\u202eright\u2069"
    assert remove_control_characters(text) == "zerowidth control\tsofthyphenright"
    kept = "می\u200cخواهم 👨\u200d👩\u200d👧 line\r\nend\n"
    assert remove_control_characters(kept) == kept


def test_white_space_is_written_in_one_way():
    assert squeeze_white_space("  a \t b\xa0c \r\n\r\n\n\n  d\u3000e  ") == "a b c\n\n d\u3000e"
    assert squeeze_white_space("　　春眠\u3000不觉晓  \r\r\n") == "春眠\u3000不觉晓"


def test_chinese_is_converted_both_ways(poems):
    simplify, complicate = make_chinese("simplified"), make_chinese("traditional")
    assert simplify("臺灣的憂鬱，頭髮與發展") == "台湾的忧郁，头发与发展"
    assert complicate("汉字，头发与发展") == "漢字，頭髮與發展"
    assert simplify("plain ASCII, ＡＢ") == "plain ASCII, ＡＢ"
    assert sum(simplify(poem) != poem for poem in poems) > len(poems) * 0.9
