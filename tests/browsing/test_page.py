"""The page in a real browser: Chromium, headless."""

from __future__ import annotations

import shutil

import pytest
from shown_lakes import CLASSES, ROWS, RUN, boxes_of, file_name, write_lake, write_predictions

from deeplake_mmdet import DeepLakeDataset
from deeplake_mmdet.browsing import open_gallery, serving

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium is installed")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield found
        found.close()


@pytest.fixture
def opened(browser):
    """Opens addresses; whatever the browser complains of fails the test."""
    complaints, contexts = [], []

    def go(address, ready="body.ready", **settings):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda told: complaints.append(told.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.goto(address)
        page.wait_for_selector(ready)
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(opened, address):
    return opened(address)


def rows(page):
    return [int(text) for text in page.locator(".tile .row").all_inner_texts()]


def after(page, act):
    """Act, and wait for the page that follows."""
    with page.expect_response(lambda answer: "/api/page" in answer.url):
        act()
    page.wait_for_selector("body:not(.busy)")
    return page


def until(page, expression):
    """Wait for an expression; Playwright's own way to do so needs what the page's policy forbids."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(expression)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_images_are_shown_with_their_objects(opened, address, scheme, width):
    page = opened(address, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert page.url == address.partition("?")[0]  # without its token
    assert rows(page) == list(range(48))
    until(page, "[...document.images].slice(0, 4).every((image) => image.naturalWidth === 200)")
    boxes = page.locator(".tile").nth(3).locator("svg rect[data-place]")
    assert boxes.count() == 3
    assert page.locator(".tile .name").nth(3).inner_text() == file_name(3)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(255, 255, 255)") == (scheme == "light")
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # nothing reaches beyond


def test_a_link_on_another_page_leads_to_its_row(opened, address, tmp_path):
    other = tmp_path / "report.html"
    other.write_text(f'<a href="{address}#start=7">row 7</a>')
    page = opened(other.as_uri(), ready="a")
    page.click("a")
    page.wait_for_selector("body.ready")
    assert rows(page)[0] == 7
    assert "token" not in page.url


def test_names_with_markup_are_texts(page):
    assert page.locator("#classes .name").all_inner_texts().count(CLASSES[1]) == 1
    assert page.locator("script").count() == 1
    assert page.evaluate("document.querySelector('.tile b')") is None


def test_paging_by_buttons_keys_and_going_back(page):
    after(page, lambda: page.click("#after"))
    assert rows(page) == list(range(48, ROWS))
    assert page.locator("#after").is_disabled()
    after(page, page.go_back)
    assert rows(page)[0] == 0
    after(page, lambda: page.keyboard.press("j"))
    assert rows(page)[0] == 48
    after(page, page.reload)
    assert rows(page)[0] == 48
    after(page, lambda: page.keyboard.press("k"))
    assert rows(page)[0] == 0


def test_filters_and_queries(page):
    after(page, lambda: page.locator("#classes label", has_text=CLASSES[1]).click())
    expected = [row for row in range(ROWS) if 1 in boxes_of(row)[1]]
    assert rows(page) == expected[:48]
    after(page, lambda: page.locator("#sizes").get_by_text("large").click())
    assert rows(page) == []
    after(page, lambda: page.click("#reset"))
    assert rows(page) == list(range(48))
    page.keyboard.press("/")
    page.keyboard.type("image_id < 0 AND")
    after(page, lambda: page.keyboard.press("Enter"))
    assert "syntax error" in page.locator("#message").inner_text()
    assert rows(page) == list(range(48))  # what was there stays
    page.fill("#query", "SELECT * LIMIT 3")
    after(page, lambda: page.press("#query", "Enter"))
    assert rows(page) == [0, 1, 2]
    assert page.locator("#message").is_hidden()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement === document.body")


def test_an_image_alone_by_the_keyboard(page):
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert "row 1 " in page.locator("#large-title").inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("j")
    assert "row 3 " in page.locator("#large-title").inner_text()
    assert page.locator("#panes svg .tag").count() == 3
    assert page.locator("#objects-list li").count() == 3
    page.keyboard.press("b")
    page.wait_for_selector("#panes svg rect", state="detached")
    page.keyboard.press("k")
    assert "row 2 " in page.locator("#large-title").inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("#large").is_visible()
    assert page.evaluate("document.activeElement.closest('.tile').querySelector('.row').textContent") == "2"
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()


def test_going_on_from_the_last_image_turns_the_page(page):
    page.locator(".tile .open").nth(47).click()
    after(page, lambda: page.keyboard.press("ArrowRight"))
    until(page, "document.getElementById('large-title').textContent.includes('row 48 ')")
    after(page, lambda: page.keyboard.press("ArrowLeft"))
    until(page, "document.getElementById('large-title').textContent.includes('row 47 ')")


def test_labels_lie_apart_and_inside_the_picture(page):
    page.locator(".tile .open").nth(15).click()
    page.wait_for_selector("#panes svg .tag")
    tags = page.locator("#panes svg .tag").evaluate_all(
        "(all) => all.map((tag) => tag.getBoundingClientRect())"
    )
    frame = page.locator("#panes svg").bounding_box()
    for tag in tags:
        assert tag["left"] >= frame["x"] - 1
        assert tag["right"] <= frame["x"] + frame["width"] + 1
    for number, one in enumerate(tags):
        for other in tags[:number]:
            apart = one["right"] <= other["left"] or other["right"] <= one["left"]
            assert apart or one["bottom"] <= other["top"] or other["bottom"] <= one["top"]


def test_a_run_beside_the_truth(page):
    after(page, lambda: page.select_option("#run", RUN))
    assert page.locator(".tile .errors").nth(3).inner_text() == "1 true, 2 missed, 1 false, 1 confused"
    after(page, lambda: page.locator("#kinds").get_by_text("confused").click())
    assert rows(page)[:4] == [2, 3, 5, 6]
    page.locator(".tile .open").nth(1).click()
    assert page.locator("#panes figure").count() == 2
    dashed = page.locator("#panes svg[data-part=truth] rect[stroke-dasharray]")
    assert dashed.count() == 2
    texts = page.locator("#panes svg[data-part=found] text").all_text_contents()
    assert sorted(text[:2] for text in texts if text[0] in "✕≠") == ["≠ ", "✕ "]
    page.keyboard.press("Escape")
    score = page.locator("#score")
    after(
        page,
        lambda: score.evaluate(
            "(range) => { range.value = 0.85; range.dispatchEvent(new Event('change')); }"
        ),
    )
    assert page.locator(".tile .errors").nth(1).inner_text() == "1 true, 2 missed"


def test_a_view_is_saved_by_a_click(opened, tmp_path):
    lake = write_lake(tmp_path / "lake", rows=8)
    write_predictions(lake, rows=8)
    with serving(open_gallery(lake)) as found:
        page = opened(found.url)
        for row in (5, 2):
            page.locator(".tile .open").nth(row).focus()
            page.keyboard.press("x")
        page.keyboard.press("s")
        page.fill("#save-name", "picked")
        page.click("#save-go")
        until(page, "document.getElementById('save-told').textContent.startsWith('Saved 2')")
        page.fill("#save-name", "a/b")
        page.click("#save-go")
        until(page, "document.getElementById('save-told').textContent.includes('cannot have this name')")
    data = DeepLakeDataset(path=lake, view="picked", pipeline=[], test_mode=True)
    assert data.view.file_names([0, 1]) == [file_name(2), file_name(5)]


def test_when_the_command_has_ended_the_page_says_so(browser, tmp_path):
    lake = write_lake(tmp_path / "lake", rows=60)
    with serving(open_gallery(lake)) as found:
        page = browser.new_context().new_page()
        page.goto(found.url)
        page.wait_for_selector("body.ready")
    page.keyboard.press("j")
    page.wait_for_selector("#message:not([hidden])")
    assert "no longer runs" in page.locator("#message").inner_text()
    page.context.close()
