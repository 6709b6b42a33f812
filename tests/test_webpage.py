"""dagnet.webpage: a page that stands alone, and a table of settings in it."""

from dagnet import webpage


def test_a_page_has_the_shared_style_and_its_own_and_a_title_that_is_text():
    html = webpage.page("a < b", "<p>x</p>", "p { color: red; }")
    assert "<title>a &lt; b</title>" in html and "<p>x</p>" in html
    assert html.index("body {") < html.index("p { color: red; }") < html.index("</style>")


def test_settings_are_text():
    assert "<th>a&amp;b</th><td>&lt;3</td>" in webpage.settings({"a&b": "<3"})
