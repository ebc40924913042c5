import pytest

from ftkit.data.cleaning.personal_data import make_finder, make_hider

KINDS = ("email", "ip", "phone", "identity", "card", "iban")
REGIONS = ("cn", "eu", "us")
FOUND = [
    ("联系zhang.san+x@mail.example.com.cn。", "zhang.san+x@mail.example.com.cn", "email"),
    ("<bob_b@a-b.org>", "bob_b@a-b.org", "email"),
    ("登录地址192.168.1.17，", "192.168.1.17", "ip"),
    ("at 2001:db8::8a2e:370:7334 now", "2001:db8::8a2e:370:7334", "ip"),
    ("手机号13812345678。", "13812345678", "phone"),
    ("手机：138-1234-5678", "138-1234-5678", "phone"),
    ("手机１３８１２３４５６７８，", "１３８１２３４５６７８", "phone"),
    ("座机010-62751234转", "010-62751234", "phone"),
    ("call (415) 555-2671 or", "(415) 555-2671", "phone"),
    ("ring +49 30 901820 today", "+49 30 901820", "phone"),
    ("身份证11010519491231002X，", "11010519491231002X", "identity"),
    ("SSN 536-90-4399.", "536-90-4399", "identity"),
    ("DNI 54362315K,", "54362315K", "identity"),
    ("codice RCCMNL83S18D969H", "RCCMNL83S18D969H", "identity"),
    ("卡号4111 1111 1111 1111。", "4111 1111 1111 1111", "card"),
    ("银联6222021234567890128", "6222021234567890128", "card"),
    ("IBAN DE89 3704 0044 0532 0130 00 ok", "DE89 3704 0044 0532 0130 00", "iban"),
]
NOT_FOUND = [
    "身份证110105194912310021，",  # wrong checksum
    "卡号4111 1111 1111 1112",
    "IBAN DE89 3704 0044 0532 0130 01",
    "SSN 000-12-3456",
    "version 1.2.3.4.5 and v1.2.3.4, 999.1.1.1, 127.0.0.1, std::vector, 12:30:45",
    "2020-11-27 12:33:44, 3.14159265358979, 2000-2010, 1606460024",
    "order 1234567890, page 123-456, ISBN 978-7-02-000220-7",
    "@decorator, user@host, a@b",
]


@pytest.fixture(scope="module")
def find():
    return make_finder(KINDS, REGIONS)


@pytest.mark.parametrize(("text", "piece", "kind"), FOUND)
def test_personal_data_is_found_whole_and_hidden(find, text, piece, kind):
    (finding,) = find(text)
    assert text[finding.start : finding.end] == piece
    assert finding.kind == kind
    assert make_hider(find, "tag")(text) == text.replace(piece, f"<{kind.upper()}>")
    masked = make_hider(find, "mask")(text)
    assert len(masked) == len(text)
    assert not any(each.isdecimal() for each in masked)


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_has_no_valid_checksum_or_form_stays(find, text):
    assert find(text) == []


def test_only_the_kinds_and_regions_that_are_asked_for_are_looked_for():
    text = "a@b.com 13812345678 415-555-2671 11010519491231002X"
    assert [each.kind for each in make_finder(["email"], REGIONS)(text)] == ["email"]
    assert [each.kind for each in make_finder(["phone"], ["us"])(text)] == ["phone"]
    assert make_finder(["identity"], ["us"])(text) == []


def test_findings_do_not_overlap_and_stand_in_order(find):
    text = " ".join(piece for _, piece, _ in FOUND)
    found = find(text)
    assert all(one.end <= other.start for one, other in zip(found, found[1:], strict=False))
    assert {each.kind for each in found} == set(KINDS)


def test_poems_and_mails_without_addresses_have_nothing(find, mails, poems):
    assert not any(find(poem) for poem in poems)
    found = [each for mail in mails for each in find(mail) if each.kind != "phone"]
    assert len(found) <= len(mails) // 50  # names and addresses of these mails are blotted out
