"""The page in a real browser: strokes in, digits out.  --log-cli-level=INFO tells how fast."""

import json
import logging
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("selenium", reason="needs Selenium to drive a browser")

from browser import CHROMIUM, DRIVER, Page, hand
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="needs Chromium and its driver (Debian: apt install chromium chromium-driver)",
)

STATUS = "document.getElementById('train-status').textContent"

WATCH = """
    window.times = [];
    new MutationObserver(() => {
      const found = document.getElementById("doubt").textContent.match(/in (\\d+) ms/);
      if (found) window.times.push(Number(found[1]));
    }).observe(document.getElementById("doubt"), {childList: true});
"""


@contextmanager
def served() -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The page, served by the program as people start it: its address, the process."""
    command = [sys.executable, "-m", "digits.page", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield server.stdout.readline().split()[3], server
        server.terminate()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served() as (address, _):
        yield address


@pytest.fixture(scope="module")
def browser(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    page = Page(address, tmp_path_factory.mktemp("profile"))
    yield page
    page.close()


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """The page anew; at the end there must have been no complaint, and no request elsewhere."""
    browser.open()
    yield browser
    assert not browser.complaints()
    requests = browser.requests()
    assert requests
    assert all(request.startswith(browser.address) for request in requests)


def post(address: str, path: str, sent: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address + path, json.dumps(sent).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


@pytest.fixture(params=["nothing", "a training"])
def beside(request: pytest.FixtureRequest, address: str) -> Iterator[str]:
    if request.param == "a training":
        lenet = {"data": "synthetic", "images": 20_000, "network": "lenet5", "optimizer": "adam"}
        numbers = {"learning_rate": 0.001, "batch_size": 64, "epochs": 20, "seed": 0}
        post(address, "training", {**lenet, **numbers})
        time.sleep(3)
    yield request.param
    if request.param == "a training":
        post(address, "training/command", {"command": "stop"})
        time.sleep(1)


def test_twenty_digits(page: Page, beside: str) -> None:
    """Ten with nothing else to do and ten beside a training, in the hand of synthetic_digits."""
    rng = np.random.default_rng(beside == "a training")
    page.run(WATCH)
    wrong, last = [], []
    for digit in range(10):
        page.draw(hand(digit, rng, 200, 60, 200))
        if page.rows() != [str(digit)]:
            wrong.append((digit, page.rows()))
        last.append(page.run("return window.times.at(-1)"))
        page.press("c")
        assert page.rows() == []
    times = page.run("return window.times")
    logging.getLogger(__name__).info(
        f"10 digits beside {beside}, milliseconds from a stroke to its answer on the page: after "
        f"the last point median {statistics.median(last)}, longest {max(last)}; while drawing, "
        f"{len(times)} answers: median {statistics.median(times)}, longest {max(times)}"
    )
    assert wrong == []
    assert len(times) > 30  # it answers while one draws


def test_rows_of_digits(page: Page) -> None:
    rng = np.random.default_rng(1)
    for place, digit in enumerate([2, 0, 2]):
        page.draw(hand(digit, rng, 40 + 150 * place, 30, 130))
    for place, digit in enumerate([6, 7]):
        page.draw(hand(digit, rng, 40 + 150 * place, 200, 130))
    assert page.rows() == ["202", "67"]
    assert re.search(r"\d+ %\. Answered in \d+ ms\.|^Unsure", page.text("doubt"))

    # The digit that was drawn last is the one that is looked at; the others are a key away.
    def looked_at() -> tuple[str, str]:
        bar = page.run("return document.querySelector('#bars .first th').textContent")
        button = page.driver.find_element("css selector", "#digits [aria-pressed=true]")
        return bar, str(button.get_attribute("aria-label"))

    assert looked_at() == ("7", "digit 5: 7")
    seven = page.pixels("#seen")
    page.press("[")
    assert looked_at() == ("6", "digit 4: 6")
    assert (page.pixels("#seen") != seven).any()
    page.press("]", "]")
    assert looked_at() == ("2", "digit 1: 2")
    page.driver.find_element("css selector", "#digits button:nth-child(2)").click()
    assert looked_at() == ("0", "digit 2: 0")

    # Its probabilities are a whole.
    widths = page.run(
        "return [...document.querySelectorAll('#bars i')]"
        ".map((bar) => Number(bar.style.transform.slice(7, -1)))"
    )
    assert len(widths) == 11
    assert abs(sum(widths) - 1) < 1e-4
    assert max(widths) == widths[0] > 0.5

    page.element("undo").click()
    page.element("undo").click()
    assert page.rows()[0] == "202"
    page.element("clear").click()
    assert page.rows() == []
    assert not page.driver.find_elements("css selector", "#digits button")
    assert not page.element("clear").is_enabled()


def test_a_click_on_a_frame_chooses_its_digit(page: Page) -> None:
    rng = np.random.default_rng(1)
    for place, digit in enumerate([2, 0, 6]):
        page.draw(hand(digit, rng, 40 + 150 * place, 30, 130))
    assert page.rows() == ["206"]
    page.draw([[(100, 90)]])
    assert page.run("return document.querySelector('#bars .first th').textContent") == "2"
    assert page.rows() == ["206"]  # no dot was drawn
    page.draw([[(700, 90)]])
    page.rows()
    assert page.run("return document.querySelectorAll('#digits button').length") >= 3
    page.press("z")  # the dot
    assert page.rows() == ["206"]


def test_undo_redo_and_clear(page: Page) -> None:
    rng = np.random.default_rng(2)
    for place, digit in enumerate([4, 7]):
        page.draw(hand(digit, rng, 40 + 150 * place, 30, 130))
    assert page.rows() == ["47"]
    page.press("c")
    assert page.rows() == []
    page.press("z")
    assert page.rows() == ["47"]  # Clear was undone
    shown = page.pixels("#pad")
    for redo in (["y"], [Keys.SHIFT, "z"]):
        page.press("z")
        assert (page.pixels("#pad") != shown).any()
        page.press_with_control(*redo)
        assert page.rows() == ["47"]
    page.press("z")
    page.press_with_shift("z")
    assert page.rows() == ["47"]
    page.element("redo").click()
    assert page.rows() == []  # cleared again
    page.element("undo").click()
    page.press(Keys.ESCAPE)
    page.element("undo").click()
    assert page.rows() == ["47"]


def test_the_eraser(page: Page) -> None:
    rng = np.random.default_rng(2)
    page.draw(hand(1, rng, 60, 30, 200))
    page.draw(hand(7, rng, 360, 30, 200))
    assert page.rows() == ["17"]
    page.press("e")
    assert page.element("eraser").get_attribute("aria-pressed") == "true"
    page.draw([[(x, y) for y in range(20, 260, 20) for x in range(40, 300, 20)]])
    assert page.rows() == ["7"]
    page.press("e", "z")
    assert page.rows() == ["17"]


def test_unread_ink_is_framed_and_explained(page: Page) -> None:
    zigzag = [(60.0 + 15 * i, 40.0 + 180 * (i % 2)) for i in range(30)]
    page.draw([zigzag, [(x, 265 - y) for x, y in zigzag]])
    assert (page.rows(), page.text("reading")) == ([], "No digit found.")
    assert page.text("doubt").startswith("Framed in dashes")


def test_a_busy_sign(page: Page) -> None:
    page.run(
        "const real = window.fetch; window.fetch = async (...asked) => {"
        "  await new Promise((resolve) => setTimeout(resolve, 900)); return real(...asked); }"
    )
    page.draw([[(200, 60), (200, 200)]])
    page.wait_for("!document.getElementById('busy').hidden")
    assert (page.text("busy"), page.rows()) == ("reading …", ["1"])
    assert not page.element("busy").is_displayed()


def test_samples(page: Page) -> None:
    page.driver.find_element("css selector", "[data-sample='2026']").click()
    page.wait_for("document.getElementById('reading').textContent === '2026'")
    page.press("c")
    page.driver.find_element("css selector", "[data-sample='photo']").click()
    page.wait_for("document.getElementById('reading').textContent === '3141592653'")
    page.press("z")
    assert page.rows() == []


def test_reduced_motion(page: Page) -> None:
    reduce = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": reduce})
    page.driver.find_element("css selector", "[data-sample='3']").click()
    page.wait_for("document.getElementById('reading').textContent === '3'")
    page.press("z")
    assert page.rows() == []  # written at once, undone at once
    bar = "getComputedStyle(document.querySelector('#bars i')).transitionDuration"
    assert page.run(f"return {bar}") == "0s"
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert page.run(f"return {bar}") != "0s"


def test_the_layers_are_shown(page: Page) -> None:
    assert page.text("panel-layers").startswith("Draw a digit, and see")
    page.draw(hand(3, np.random.default_rng(2), 200, 60, 200))
    page.rows()
    assert len(page.driver.find_elements("css selector", "#layers li")) == 6
    page.element("all-layers").click()
    page.wait_for("document.querySelectorAll('#layers li').length > 10")
    names = [item.text for item in page.element("layers").find_elements("css selector", "b")]
    assert names[:3] == ["Normalization", "Convolution", "Max pooling"]
    assert names[-1] == "Dense (fully connected)"
    for number in range(1, len(names) + 1):
        shown = page.pixels(f"#layers li:nth-child({number}) canvas")
        assert len(np.unique(shown.reshape(-1, 4), axis=0)) > 5, names[number - 1]
    # Negative numbers are of another color, and nothing below zero is left after a ReLU.
    redder = [
        bool((canvas[..., 0].astype(int) > canvas[..., 2].astype(int) + 20).any())
        for canvas in (page.pixels(f"#layers li:nth-child({number}) canvas") for number in (2, 5))
    ]
    assert names[4] == "Activation"
    assert redder == [True, False]


def test_one_unit(page: Page) -> None:
    page.draw(hand(3, np.random.default_rng(2), 200, 60, 200))
    page.rows()
    canvas = page.driver.find_element("css selector", "#layers li:nth-child(2) canvas")
    canvas.click()
    page.wait_for("!document.getElementById('unit').hidden")
    assert page.text("unit-value").startswith("Output ")
    assert re.search(r"depends on: \d+ . \d+ pixels", page.text("unit-field-says"))
    assert len(page.driver.find_elements("css selector", "#unit-adds tr")) == 11
    assert len(np.unique(page.pixels("#unit-weights").reshape(-1, 4), axis=0)) > 5
    before = page.text("unit-value")
    page.choose("unit-layer", "1")
    page.wait_for(f"document.getElementById('unit-value').textContent !== {before!r}")
    assert re.search("depends on: 1 . 1", page.text("unit-field-says"))
    page.run("document.querySelector('#layers li:last-child canvas').focus()")
    page.press(Keys.ENTER)
    page.wait_for("document.querySelector('#layers li:last-child #unit')")
    page.press(Keys.TAB)  # to the fields below, where any other unit can be chosen
    assert page.run("return document.activeElement.id") == "unit-layer"


def test_why_this_digit(page: Page) -> None:
    page.draw(hand(7, np.random.default_rng(2), 200, 60, 200))
    page.rows()
    page.open_tab("reasons")
    page.wait_for("document.getElementById('reasons-intro').textContent")
    assert page.text("reasons-intro") == "Why 7? Three ways to ask."
    for name in ("saliency", "occlusion"):
        assert len(np.unique(page.pixels(f"#{name}").reshape(-1, 4), axis=0)) > 5
    page.wait_for("document.querySelectorAll('#neighbors li').length")
    near = page.element("neighbors").find_elements("tag name", "li")
    assert len(near) == 8
    assert sum(item.text.startswith("7,") for item in near) >= 4


def test_a_question_without_an_answer(page: Page) -> None:
    page.draw(hand(7, np.random.default_rng(2), 200, 60, 200))
    page.rows()
    page.open_tab("reasons")
    page.wait_for("document.querySelectorAll('#neighbors li').length")
    page.run("window.fetch = () => Promise.reject(new Error())")
    page.element("language").click()  # what has been answered is not asked again
    assert "距离" in page.text("neighbors")
    page.element("language").click()
    page.choose("among", "mnist")
    page.wait_for("!document.getElementById('trouble').hidden")
    assert page.text("trouble") == "The server does not answer. Is it still running?"


def test_step_by_step(page: Page) -> None:
    page.draw(hand(7, np.random.default_rng(2), 200, 60, 200))
    page.rows()
    page.open_tab("steps")
    page.wait_for("document.getElementById('step-of').textContent")
    first = re.match(r"Step 1 of (\d+)", page.text("step-of"))
    assert first
    titles = []
    for _ in range(int(first[1])):
        titles.append(page.text("step-title"))
        assert page.text("step-formula")
        page.element("step-next").click()
    assert page.text("step-chapter") == "Chapter 4 of the guide"
    assert titles[0] == "Forward: Normalization"
    assert titles[-1].startswith("Down to the pixels")
    (loss,) = (title for title in titles if "the loss is" in title)
    page.choose("target", "1")  # a wrong answer costs more
    page.element("step-first").click()
    for _ in range(titles.index(loss)):
        page.element("step-next").click()
    page.wait_for(f"document.getElementById('step-title').textContent !== {loss!r}")
    assert float(page.text("step-title").split()[-1]) > 3
    page.element("step-first").click()
    page.element("step-play").click()
    page.wait_for("document.getElementById('step-of').textContent.startsWith('Step 3 ')")
    page.element("step-play").click()
    assert page.text("step-play") == "Play"


def test_a_training(page: Page) -> None:
    """On synthetic digits to 0.90, with curves that move; then it reads."""
    page.open_tab("training")
    page.run("document.getElementById('images').value = 10000")
    page.element("train-start").click()
    began = time.monotonic()
    page.wait_for("!document.getElementById('watch').hidden")
    page.wait_for("!document.getElementById('train-stop').disabled")

    def shown() -> list[Any]:
        drawn = ("#loss-curve", "#accuracy-curve", "#first-weights")
        texts = [page.text("misread"), page.text("check")]
        return [page.pixels(canvas).tobytes() for canvas in drawn] + texts

    before = shown()
    page.wait_for(
        "Number(document.getElementById('train-status').textContent.match(/batch (\\d+)/)[1]) > 100"
    )
    assert all(now != then for now, then in zip(shown(), before, strict=True))  # all moves
    page.element("train-pause").click()
    page.wait_for("document.getElementById('train-status').textContent.startsWith('Paused')")
    batch = "document.getElementById('train-status').textContent.match(/batch ([\\d,]+)/)[1]"
    paused = page.run(f"return {batch}")
    page.element("train-step").click()
    page.wait_for(f"{batch} !== '{paused}'")
    assert len(page.driver.find_elements("css selector", "#check tbody tr")) == 3
    assert page.driver.find_elements("css selector", "#misread li")
    assert len(np.unique(page.pixels("#first-weights").reshape(-1, 4), axis=0)) > 5
    page.element("train-pause").click()
    page.wait_for(f"{STATUS}.startsWith('Done')", patience=200)
    seconds = time.monotonic() - began
    found = re.search(r"Test accuracy (\d+) %", page.text("train-status"))
    assert found
    logging.getLogger(__name__).info(f"trained to {found[1]} % in {seconds:.1f} s")
    assert int(found[1]) >= 90
    assert str(page.element("keep").get_attribute("href")).endswith("/training/model")
    page.element("train-use").click()
    page.draw(hand(7, np.random.default_rng(2), 200, 60, 200))
    assert page.rows() == ["7"]
    page.open_tab("layers")
    page.wait_for("document.querySelectorAll('#layers li').length === 5")  # of LeNet-5


def test_a_training_on_mnist(page: Page, real_data: Path) -> None:
    page.open_tab("training")
    page.choose("data", "mnist")
    page.choose("net", "mlp-adam")
    page.element("train-start").click()
    page.wait_for(f"Number({STATUS}.match(/accuracy (\\d+)/)?.[1]) > 88", patience=100)
    page.element("train-stop").click()
    page.wait_for(f"/^(Stopped|Done)/.test({STATUS})", patience=100)
    page.element("train-use").click()
    page.draw(hand(7, np.random.default_rng(2), 200, 60, 200))
    assert page.rows() == ["7"]
    assert "101,770" in page.text("about")  # the weights of this network
    assert not page.run("return document.querySelector('#bars tbody tr:last-child').offsetParent")
    page.open_tab("steps")
    page.wait_for("document.querySelectorAll('#target option').length === 10")  # no "none"


def test_a_training_that_learns_nothing_says_what_to_try(page: Page) -> None:
    page.open_tab("training")
    page.choose("net", "two-layer")
    for name, value in {"images": 500, "learning-rate": 1e-6, "epochs": 1}.items():
        page.run(f"document.getElementById('{name}').value = {value}")
    page.element("train-start").click()
    page.wait_for(f"/^Done.* no better than guessing.* learning rate ten times/.test({STATUS})")


def test_layers_of_ones_own(page: Page) -> None:
    page.open_tab("training")
    page.choose("net", "layers")
    rows = "#layer-list li"
    assert len(page.driver.find_elements("css selector", rows)) == 3
    page.element("add-layer").click()
    assert len(page.driver.find_elements("css selector", rows)) == 4
    page.driver.find_element("css selector", f"{rows}:nth-child(2) button").click()
    assert len(page.driver.find_elements("css selector", rows)) == 3
    page.run("document.getElementById('images').value = 1000")
    page.element("train-start").click()
    page.wait_for(f"!{STATUS}.startsWith('Done')")  # of the training before
    page.wait_for(f"{STATUS}.startsWith('Done')", patience=200)


def test_teaching(page: Page) -> None:
    page.open_tab("teach")
    assert not page.element("teach").is_enabled()
    page.draw(hand(7, np.random.default_rng(2), 200, 60, 200))
    page.rows()
    for label in (7, 1):
        page.driver.find_element("css selector", f"#labels button:nth-child({label + 1})").click()
    examples = page.driver.find_elements("css selector", "#examples button")
    labels = [example.get_attribute("aria-label") for example in examples]
    assert labels == ["Remove digit 1: 7", "Remove digit 2: 1"]
    examples[1].click()
    page.element("teach").click()
    page.wait_for("!document.getElementById('taught').hidden", patience=100)
    assert page.text("teach-status").startswith("It has learned from your digits (1)")
    assert len(page.driver.find_elements("css selector", "#taught tbody tr")) == 12
    assert page.run("return document.getElementById('network').value") == "trained"
    assert page.rows() == ["7"]


def test_the_language(page: Page, address: str, tmp_path: Path) -> None:
    page.draw(hand(4, np.random.default_rng(6), 200, 60, 200))
    page.rows()
    page.element("language").click()
    shown = page.run("return [document.documentElement.lang, document.title]")
    assert shown == ["zh-CN", "手写数字"]
    page.open()
    assert page.text("open").startswith("识别照片")  # it is remembered
    page.element("language").click()
    page.run("localStorage.clear()")

    with closing(Page(address, tmp_path / "profile", "--accept-lang=zh-CN")) as chinese:
        chinese.open()
        assert chinese.text("open").startswith("识别照片")


def test_the_theme(page: Page) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    light = page.run(background)
    page.choose("theme", "dark")
    dark = page.run(background)
    assert dark != light
    page.open()
    assert page.run(background) == dark
    page.choose("theme", "auto")
    assert page.run(background) == light


def test_a_photo(page: Page, tmp_path: Path) -> None:
    photo = np.full((600, 900, 3), 190, np.uint8)
    for path in hand(5, np.random.default_rng(3), 300, 120, 330):
        corners = np.array([[16 * x, 16 * y] for x, y in path], np.int32)
        cv2.polylines(photo, [corners], False, (90, 60, 50), 22, cv2.LINE_AA, 4)
    cv2.imwrite(str(tmp_path / "photo.jpg"), photo)
    page.choose_file(tmp_path / "photo.jpg")
    page.wait_for("document.getElementById('reading').textContent === '5'")
    gray = page.pixels("#pad")
    assert (gray == [190, 190, 190, 255]).all(axis=2).mean() > 0.3  # the photo is on the paper

    # A click leaves it there. Whoever draws on it begins anew, and may have it back.
    page.draw([[(20, 20)]])
    assert page.rows() == ["5"]
    page.draw(hand(7, np.random.default_rng(4), 200, 60, 200))
    assert page.rows() == ["7"]
    for _ in range(3):
        if page.rows() == ["5"]:
            break
        page.press("z")
    assert page.rows() == ["5"]
    page.press("c", "z")
    assert page.rows() == ["5"]


def test_what_is_no_photo(page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    page.choose_file(tmp_path / "notes.png")
    page.wait_for("!document.getElementById('trouble').hidden")
    assert page.text("trouble").startswith("This cannot be read: this is not a picture")
    assert page.rows() == []
    assert "422" in page.complaints()[0]  # the browser's own note of the answer

    with open(tmp_path / "large.png", "wb") as large:
        large.truncate(33 * 2**20)
    page.choose_file(tmp_path / "large.png")
    page.wait_for("document.getElementById('trouble').textContent.includes('33 MB')")
    assert page.text("trouble") == "This photo has 33 MB; up to 32 MB are read."

    page.draw(hand(1, np.random.default_rng(5), 200, 60, 200))
    assert page.rows() == ["1"] and not page.element("trouble").is_displayed()


def test_the_keyboard_alone(page: Page) -> None:
    reached: list[str] = []
    while "pad" not in reached[-1:] and len(reached) < 5:
        page.press(Keys.TAB)
        reached.append(page.run("return document.activeElement.id"))
    assert [name for name in reached if name != "network"] == ["theme", "language", "pad"]
    page.press_with_shift(Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_LEFT)
    page.press(" ")
    page.press(*[Keys.ARROW_RIGHT] * 8)
    for _ in range(7):
        page.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_LEFT)
    page.press(" ")
    assert page.rows() == ["7"]
    page.press(Keys.ARROW_LEFT)  # the pen is lifted
    assert page.rows() == ["7"]
    reached = []
    for _ in range(3):
        page.press(Keys.TAB)
        reached.append(page.run("return document.activeElement.id"))
    assert reached == ["undo", "eraser", "clear"]
    page.press("z")
    assert page.rows() == []


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390)])
def test_a_telephone(width: int, height: int, address: str, tmp_path: Path) -> None:
    """Upright and across: a finger draws and does not scroll, and the reading stays in view."""
    with closing(Page(address, tmp_path / "profile")) as page:
        page.as_phone(width, height)
        page.open()
        assert page.run("return [innerWidth, document.documentElement.scrollWidth]") == [width] * 2
        page.draw(hand(4, np.random.default_rng(6), 110, 30, 130), "touch")
        assert (page.rows(), page.run("return scrollY")) == (["4"], 0)
        wide, tall = page.run("return [pad.clientWidth, pad.clientHeight]")
        assert page.pixels("#pad").shape == (3 * tall, 3 * wide, 4)
        for name in ("undo", "redo", "eraser", "clear", "open", "tab-training", "language"):
            assert page.element(name).rect["height"] >= 44  # as large as a finger
        for place in (0, 300, 600, 5000):
            page.run(f"scrollTo(0, {place})")
            box = page.run("return document.getElementById('reading').getBoundingClientRect()")
            assert 0 <= box["top"] < box["bottom"] <= height, place
        assert not page.complaints()


def test_the_server_is_gone(tmp_path: Path) -> None:
    with served() as (address, server), closing(Page(address, tmp_path / "profile")) as page:
        page.open()
        server.terminate()
        server.wait()
        page.draw([[(200, 60), (200, 200)]])
        page.rows()
        assert page.text("trouble") == "The server does not answer. Is it still running?"


def test_training_by_the_keyboard(page: Page) -> None:
    def tab_to(name: str) -> None:
        for _ in range(40):
            if page.run("return document.activeElement.id") == name:
                return
            page.press(Keys.TAB)
        raise AssertionError(f"{name} is not reached")

    tab_to("tab-layers")
    page.press(*[Keys.ARROW_RIGHT] * 3)
    assert page.run("return document.activeElement.id") == "tab-training"
    tab_to("net")
    page.press(Keys.ARROW_DOWN)
    tab_to("epochs")
    page.press(Keys.ENTER)  # as in any form
    page.wait_for("!document.getElementById('train-stop').disabled")
    for name, expected in [("train-pause", "Paused"), ("train-pause", "Training")]:
        tab_to(name)
        page.press(" ")
        page.wait_for(f"{STATUS}.startsWith({expected!r})")
    tab_to("train-stop")
    page.press(Keys.ENTER)
    page.wait_for(f"/^(Stopped|Done)/.test({STATUS})")


@pytest.mark.slow
@pytest.mark.parametrize("size", ["desk", "upright", "across"])
@pytest.mark.parametrize("program", ["chromium", "firefox"])
def test_every_state(program: str, size: str, root: Path) -> None:
    """Nothing cut off, no English in Chinese, no violation of WCAG 2.2 AA, no request elsewhere."""
    executable, npm = shutil.which(program), os.environ.get("PAGE_NPM")
    if not (executable and npm and shutil.which("node")):
        pytest.skip(f"needs {program}, node, and in PAGE_NPM puppeteer-core and axe-core")
    with served() as (address, _):
        tour = ["node", str(root / "tests/system/page_tour.mjs"), executable, address, size]
        result = subprocess.run(tour, capture_output=True, text=True, timeout=400, check=False)
    assert (result.returncode, result.stdout) == (0, ""), result.stdout + result.stderr[-2000:]
