"""The page in a real browser: no error, every section, filters and sorting that work."""

import pytest
from browser import MISSING, find_browser, open_browser, show
from sample_runs import make_error_row, make_report, write_run
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ftkit.reporting.page import write_page
from ftkit.runs import read_saved_run

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_browser() is None, reason=MISSING)]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return write_page(read_saved_run(write_run(tmp_path_factory.mktemp("runs") / "sample")))


@pytest.fixture(scope="module")
def chromium():
    browser = open_browser()
    yield browser
    browser.quit()


def shown_entries(browser):
    return [entry for entry in browser.find_elements(By.CSS_SELECTOR, ".entry") if entry.is_displayed()]


def test_nothing_is_logged_to_the_console_and_no_text_of_a_row_is_run(chromium, page):
    show(chromium, page)
    assert chromium.get_log("browser") == []
    assert chromium.title == "sample"


def test_a_script_that_slips_in_is_stopped_by_the_policy(chromium, page, tmp_path):
    broken = tmp_path / "broken.html"
    text = page.read_text(encoding="utf-8").replace(
        "</main>", "<script>document.title = 'taken'</script></main>"
    )
    broken.write_text(text, encoding="utf-8")
    show(chromium, broken)
    assert chromium.title == "sample"
    assert "Content Security Policy" in chromium.get_log("browser")[0]["message"]


def test_every_section_of_the_contents_is_there_and_seen(chromium, page):
    show(chromium, page)
    links = chromium.find_elements(By.CSS_SELECTOR, "nav a")
    assert len(links) == 12
    for link in links:
        section = chromium.find_element(By.ID, link.get_attribute("href").partition("#")[2])
        assert section.is_displayed()
        assert section.size["height"] > 40


@pytest.mark.parametrize("width", [320, 400, 800, 1280, 2000])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_the_window(chromium, page, width, dark):
    show(chromium, page, width=width, dark=dark)
    chromium.execute_script("document.querySelectorAll('details').forEach((each) => { each.open = true })")
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width


def test_light_and_dark_differ_and_text_can_be_read_in_both(chromium, page):
    found = {}
    for dark in (False, True):
        show(chromium, page, dark=dark)
        script = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
        found[dark] = [read_luminance(colour) for colour in chromium.execute_script(script)]
    assert found[False][0] > 0.9
    assert found[True][0] < 0.1
    for paper, ink in found.values():
        high, low = max(paper, ink), min(paper, ink)
        assert (high + 0.05) / (low + 0.05) > 7  # WCAG 2.2, level AAA


def read_luminance(colour):
    """Relative luminance as WCAG defines it."""
    numbers = [int(each) / 255 for each in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in numbers]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_rows_are_filtered_by_text_kind_and_label(chromium, page):
    show(chromium, page)
    status = chromium.find_element(By.CSS_SELECTOR, "#errors [role=status]")
    assert status.text == "6 of 6 rows shown"
    search = chromium.find_element(By.CSS_SELECTOR, "#errors input")
    search.send_keys("举头望明月")
    assert len(shown_entries(chromium)) == 2
    assert status.text == "2 of 6 rows shown"
    search.clear()
    search.send_keys("FIXED BY")
    assert len(shown_entries(chromium)) == 1
    search.send_keys(Keys.CONTROL, "a")
    search.send_keys(Keys.DELETE)
    for name, value, number in (("kind", "broken", 1), ("kind", "fixed", 2), ("expected", "ham", 1)):
        chromium.find_element(By.CSS_SELECTOR, f"#errors select[name={name}] option[value={value}]").click()
        assert len(shown_entries(chromium)) == number


def test_a_row_is_opened_by_the_keyboard_alone(chromium, page):
    show(chromium, page)
    first = chromium.find_element(By.CSS_SELECTOR, ".entry summary")
    chromium.execute_script("arguments[0].focus()", first)
    first.send_keys(Keys.ENTER)
    assert chromium.find_element(By.CSS_SELECTOR, ".entry dl").is_displayed()
    assert chromium.execute_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_first_tab_leads_past_the_contents(chromium, page):
    show(chromium, page)
    chromium.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert chromium.switch_to.active_element.get_attribute("href").endswith("#content")


def test_slices_are_sorted_by_a_column(chromium, page):
    show(chromium, page)
    names = lambda: [each.text[:3] for each in chromium.find_elements(By.CSS_SELECTOR, "#slices tbody th")]  # noqa: E731
    rows = chromium.find_element(By.XPATH, "//section[@id='slices']//button[text()='rows']")
    rows.click()
    assert names() == ["Han", "<sc"]
    rows.click()
    assert names() == ["<sc", "Han"]
    assert rows.find_element(By.XPATH, "..").get_attribute("aria-sort") == "descending"


def test_the_pointer_reads_a_curve(chromium, page):
    from selenium.webdriver import ActionChains

    show(chromium, page)
    figure = chromium.find_element(By.CSS_SELECTOR, "#curves figure")
    chromium.execute_script("arguments[0].scrollIntoView()", figure)
    for offset in (-50, 0):
        ActionChains(chromium).move_to_element_with_offset(figure, offset, 0).perform()
    assert figure.find_element(By.TAG_NAME, "output").text.startswith("step ")


def test_a_page_of_many_long_chinese_rows_stays_under_two_megabytes_and_works(chromium, tmp_path):
    report = make_report()
    text = "举头望明月，低头思故乡。" * 400
    report["errors"]["worst"] = [make_error_row(number, text) for number in range(200)]
    page = write_page(read_saved_run(write_run(tmp_path / "large", report=report)))
    assert page.stat().st_size < 2_000_000
    show(chromium, page)
    chromium.find_element(By.CSS_SELECTOR, "#errors input").send_keys("no such word")
    assert shown_entries(chromium) == []
    assert chromium.get_log("browser") == []
