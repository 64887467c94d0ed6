"""The report as a browser shows it: from disk, offline, in Debian's Chromium without a window."""

from __future__ import annotations

import shutil

import pytest
from run_parts import NAMES, guesses, open_lake, predicted, write_run
from test_report_page import data_of

from deeplake_mmdet.evaluation import write_run_predictions
from deeplake_mmdet.report.page import report


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no chromium on this machine: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def made(finished_run, hostile_lake, tmp_path_factory):
    """The pages of one run and of two, by their number."""
    folder = tmp_path_factory.mktemp('in chromium\'s "quotes" & #1')
    view = open_lake(hostile_lake)
    second = folder / "second"
    write_run(second, view)
    write_run_predictions(second / "evaluation" / "val.npz", predicted(view, guesses(view, seed=5)))
    pages = {1: folder / "one.html", 2: folder / "two.html"}
    report(finished_run, out=pages[1], plots=False)
    report(finished_run, second, out=pages[2], plots=False, resamples=20)
    return pages


@pytest.fixture
def opened(chromium):
    """Opens a page; at the end nothing may have gone wrong in it, or been asked for elsewhere."""
    faults, contexts = [], []

    def open_page(path, scheme="light", width=1280):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on(
            "console", lambda told: faults.append(told.text) if told.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on(
            "request", lambda asked: None if asked.url[:5] in ("file:", "data:") else faults.append(asked.url)
        )
        page.goto(path.as_uri())
        page.wait_for_selector("#class-table tbody tr, #training")
        page.wait_for_function("document.querySelector('#at-threshold')?.textContent !== ''")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def table(page, column):
    return page.locator(f"#class-table tbody tr[data-class] td:nth-child({column})").all_inner_texts()


def test_the_slider_updates_all_classes_and_each(made, opened):
    scores = data_of(made[1])["runs"][0]["scores"]
    page = opened(made[1])
    for step in (0, 35, 90):
        page.locator("#threshold").fill(str(step))
        right, wrong = (sum(row[step] for row in scores[side]) for side in ("right", "wrong"))
        objects = sum(scores["objects"])
        told = page.locator("#at-threshold").inner_text()
        expected = (right / max(right + wrong, 1), right / objects, 2 * right / (right + wrong + objects))
        shown = [float(text) if text != "–" else 0.0 for text in told.replace(",", "").split()[3::2]]
        assert shown == pytest.approx(expected, abs=6e-4)
        recalls = table(page, 10)
        order = [int(row.get_attribute("data-class")) for row in page.locator("tr[data-class]").all()]
        own = [scores["right"][label][step] / scores["objects"][label] for label in order]
        assert [float(text) for text in recalls] == pytest.approx(own, abs=6e-4)
    assert page.locator("#threshold-value").inner_text() == "0.90"


def test_the_table_sorts_and_a_row_chooses_its_class(made, opened):
    page = opened(made[1])
    for heading, down in (("AP50", True), ("AP50", False)):
        page.locator("#class-table thead button", has_text=heading).click()
        values = [float(text) for text in table(page, 4)]
        assert values == sorted(values, reverse=down)
    assert page.locator("th[aria-sort=ascending]").inner_text() == "AP50"
    page.locator("#class-table thead button", has_text="class").click()
    assert sorted(table(page, 1)) == sorted(NAMES)
    page.locator("tr[data-class='0']").click()
    assert page.locator("#at-threshold").inner_text().startswith(NAMES[0])
    assert page.locator("#chart-pr .legend").inner_text().count(NAMES[0]) == 1
    page.locator("#class-filter").select_option("")
    assert page.locator("#at-threshold").inner_text().startswith("all classes")


def test_galleries_filters_and_layers(made, opened):
    run = data_of(made[1])["runs"][0]
    page = opened(made[1])
    for gallery in run["galleries"]:
        page.locator(f"[data-tab={gallery['name']}]").click()
        images = [int(card.get_attribute("data-image")) for card in page.locator("#gallery .card").all()]
        assert images == gallery["images"][:24]
    page.locator("[data-tab=missed]").click()
    page.locator("#gallery-class").select_option("2")
    step, missed = round(run["scores"]["score"] * 100) / 100, []
    for image in next(one["images"] for one in run["galleries"] if one["name"] == "missed"):
        objects = run["images"][str(image)]["objects"]
        hit = {one["f"] for one in objects["found"] if one["s"] >= step}
        if any(one["l"] == 2 and place not in hit for place, one in enumerate(objects["truth"])):
            missed.append(image)
    shown = [int(card.get_attribute("data-image")) for card in page.locator("#gallery .card").all()]
    assert shown == missed[:24]
    page.locator("#gallery .card").first.scroll_into_view_if_needed()  # pictures come when they are near
    page.locator("#gallery .card svg").first.wait_for()
    assert page.locator("#gallery rect.box.missed").count() > 0
    assert page.locator("#gallery path.mask").count() > 0
    page.locator("[data-layer=missed]").uncheck()
    page.locator("[data-layer=masks]").uncheck()
    assert page.locator("#gallery rect.box.missed").count() == 0
    assert page.locator("#gallery path.mask").count() == 0
    page.locator("#threshold").fill("100")
    assert page.locator("#gallery rect.box.found").count() == 0


def test_one_image_is_looked_at_with_its_objects(made, opened):
    page = opened(made[1])
    page.locator("#gallery .card").first.scroll_into_view_if_needed()  # pictures come when they are near
    page.locator("#gallery .card svg").first.wait_for()
    first = page.locator("#gallery .card").first
    name = first.locator(".file").inner_text()
    first.click()
    viewer = page.locator("#viewer")
    title = page.locator("#viewer-name").inner_text()
    assert title.startswith(f"{name}, row ")
    assert viewer.locator("rect.box").count() == viewer.locator("#viewer-objects li").count() > 0
    assert "deeplake-mmdet browse" in page.locator("#viewer-command").inner_text()
    assert page.locator("#viewer-pictures img").evaluate("image => image.naturalWidth") == 120
    page.keyboard.press("ArrowRight")
    assert page.locator("#viewer-name").inner_text() != title
    page.keyboard.press("Escape")
    assert not viewer.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_and_narrow(made, opened, scheme):
    page = opened(made[1], scheme, width=400)
    paper = "getComputedStyle(document.body).backgroundColor"
    colours = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}
    assert page.evaluate(paper) == colours[scheme]
    page.locator("#theme").click()
    assert page.evaluate(paper) != colours[scheme]
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_two_runs_stand_side_by_side(made, opened):
    found = data_of(made[2])
    page = opened(made[2])
    page.locator("#gallery .card").first.scroll_into_view_if_needed()  # pictures come when they are near
    page.locator("#gallery .card svg").first.wait_for()
    assert page.locator("#gallery .card").first.locator(".pic").count() == 2
    rows = page.locator("#at-threshold span").all_inner_texts()
    assert [row[0] for row in rows] == ["A", "B"]
    difference = page.locator("#class-table tr.all td:nth-child(5)").inner_text()
    assert float(difference) == pytest.approx(found["comparison"]["overall"]["difference"], abs=6e-4)
    page.locator("[data-tab=best]").click()
    page.locator("#gallery-run").select_option("1")
    shown = [int(card.get_attribute("data-image")) for card in page.locator("#gallery .card").all()]
    assert shown == next(one["images"] for one in found["runs"][1]["galleries"] if one["name"] == "best")[:24]


def test_a_page_without_scores_opens(hostile_lake, tmp_path, opened):
    write_run(tmp_path / "run", open_lake(hostile_lake), validated=False)
    page = opened(report(tmp_path / "run", plots=False).path)
    page.locator("#chart-loss svg[role=img]").wait_for()
    assert page.locator("#scores").count() == 0
