import html

import pytest

from ftkit.data.cleaning.markup import make_urls, remove_html, remove_markdown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Hello&nbsp;<b>world</b></p>", "\nHello\xa0world\n"),
        ("a<br/>b<BR>c<td>d</td>", "a\nb\nc d "),
        ("<script type='x'>var a = '<b>';</script >kept<style>p{}</style>", "kept"),
        ("<a href=\"http://x.cn/?a>b\" title='>'>链接</a>", "链接"),
        ("<!-- a <b> comment -->春<!DOCTYPE html>眠", "春眠"),
        ("&lt;b&gt; stays, 3 &lt; 4 &amp; &#x4f60;&#22909;", "&lt;b> stays, 3 < 4 & 你好"),
        ("if (a < b && c > d) #include <stdio.h> vector<int> <me@x.com>", None),
        ("AT&T, R&D; x &unknown; 1 < 2", None),
        ("书名<诗经>和《论语》", None),
    ],
)
def test_html_is_taken_out_and_what_only_looks_like_it_stays(text, expected):
    assert remove_html(text) == (text if expected is None else expected)


def test_real_mails_written_as_html_come_back_as_they_were(mails):
    for mail in mails[:200]:
        if "&" in mail or "<" in mail:  # what looks like markup in plain text is another test
            continue
        body = "<br>\n".join(html.escape(line) for line in mail.split("\n"))
        written = f"<html><style>p {{}}</style><body bgcolor='#fff'><font size=2>{body}</font></body></html>"
        assert remove_html(written).split() == mail.split()


def test_entities_become_the_characters_that_the_library_says():
    for entity in ("&eacute;", "&mdash;", "&#8217;", "&hellip;"):
        assert remove_html(entity) == html.unescape(entity)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# 标题 #\n正文 **重点** 和 *斜体* 与 `代码`", "标题\n正文 重点 和 斜体 与 代码"),
        ('See [the docs](https://x.cn/a_(b) "title") and ![图](x.png).', "See the docs and 图."),
        ("> quoted\n> more\n\n---\nend", "quoted\nmore\n\nend"),
        ("```python\nx = 1\n```\nafter", "x = 1\nafter"),
        ("~~gone~~ __bold__ _it_", "gone bold it"),
        ("snake_case_name, 2 * 3 * 4, a*b*c, - item\n* item", None),
        ("1. one\n2. two | table |", None),
    ],
)
def test_marks_of_markdown_are_taken_out(text, expected):
    assert remove_markdown(text) == (text if expected is None else expected)


@pytest.mark.parametrize(
    ("text", "removed", "tagged"),
    [
        ("见https://x.cn/a?b=c，谢谢", "见，谢谢", "见<URL>，谢谢"),
        ("go to www.python.org. Or (http://a.b/c_d).", "go to . Or ().", "go to <URL>. Or (<URL>)."),
        ("no address: http, www, a.b/c", None, None),
    ],
)
def test_addresses_end_before_chinese_and_full_stops(text, removed, tagged):
    assert make_urls("remove")(text) == (removed or text)
    assert make_urls("tag")(text) == (tagged or text)
