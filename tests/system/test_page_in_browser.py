"""The page of draw_digit.py in a real browser: strokes in, digits out.

python -m pytest tests/test_draw_page.py --log-cli-level=INFO      also tells how fast it was
"""

import logging
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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

WATCH = """
    window.times = [];
    new MutationObserver(() => {
      const found = document.getElementById("doubt").textContent.match(/in (\\d+) ms/);
      if (found) window.times.push(Number(found[1]));
    }).observe(document.getElementById("doubt"), {childList: true});
"""


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    """Where the page is, served by the script as people start it."""
    command = [sys.executable, "-m", "digits.page", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found
        yield found.group()
        server.terminate()


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


def test_twenty_digits(page: Page) -> None:
    """Two of each digit, in the hand of synthetic_digits from seed 0 on."""
    rng = np.random.default_rng(0)
    page.run(WATCH)
    wrong, last = [], []
    for digit in [*range(10), *range(10)]:
        page.draw(hand(digit, rng, 200, 60, 200))
        if page.rows() != [str(digit)]:
            wrong.append((digit, page.rows()))
        last.append(page.run("return window.times.at(-1)"))
        page.press("c")
        assert page.rows() == []
    times = page.run("return window.times")
    logging.getLogger(__name__).info(
        "20 digits, milliseconds from a stroke to its answer on the page: after the last point "
        f"median {statistics.median(last)}, longest {max(last)}; while drawing, {len(times)} "
        f"answers: median {statistics.median(times)}, longest {max(times)}"
    )
    assert wrong == []
    assert len(times) > 60  # it answers while one draws


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
    assert not page.element("undo").is_enabled()


def test_the_layers_are_shown(page: Page) -> None:
    assert not page.driver.find_elements("css selector", "#layers li")
    page.draw(hand(3, np.random.default_rng(2), 200, 60, 200))
    page.rows()
    names = [item.text.split()[0] for item in page.element("layers").find_elements("tag name", "p")]
    assert names[:4] == ["normalization", "conv2d", "max_pooling2d", "batch_normalization"]
    assert names[-1] == "dense"
    for number in range(1, len(names) + 1):
        shown = page.pixels(f"#layers li:nth-child({number}) canvas")
        assert len(np.unique(shown.reshape(-1, 4), axis=0)) > 5, names[number - 1]
    # Negative numbers are of another colour, and nothing below zero is left after a ReLU.
    redder = [
        bool((canvas[..., 0].astype(int) > canvas[..., 2].astype(int) + 20).any())
        for canvas in (page.pixels(f"#layers li:nth-child({number}) canvas") for number in (2, 5))
    ]
    assert names[4] == "activation"
    assert redder == [True, False]


def test_a_photo(page: Page, tmp_path: Path) -> None:
    photo = np.full((600, 900, 3), 190, np.uint8)
    for path in hand(5, np.random.default_rng(3), 300, 120, 330):
        corners = np.array([[16 * x, 16 * y] for x, y in path], np.int32)
        cv2.polylines(photo, [corners], False, (90, 60, 50), 22, cv2.LINE_AA, 4)
    cv2.imwrite(str(tmp_path / "photo.jpg"), photo)
    page.choose_file(tmp_path / "photo.jpg")
    page.wait_for("document.getElementById('reading').textContent === '5'")
    grey = page.pixels("#pad")
    assert (grey == [190, 190, 190, 255]).all(axis=2).mean() > 0.3  # the photo is on the paper

    # Whoever draws on it begins anew.
    page.draw(hand(7, np.random.default_rng(4), 200, 60, 200))
    assert page.rows() == ["7"]


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
    assert page.rows() == ["1"]
    assert not page.element("trouble").is_displayed()


def test_the_keyboard_alone(page: Page) -> None:
    page.press(Keys.TAB)
    assert page.run("return document.activeElement.id") == "pad"
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
    assert reached == ["undo", "clear", "open"]
    page.press("z")
    assert page.rows() == []


def test_a_telephone(address: str, tmp_path: Path) -> None:
    page = Page(address, tmp_path / "profile")
    try:
        page.as_phone()
        page.open()
        assert page.run("return [innerWidth, document.documentElement.scrollWidth]") == [390, 390]
        page.draw(hand(4, np.random.default_rng(6), 110, 30, 170), "touch")
        assert page.rows() == ["4"]
        assert page.run("return scrollY") == 0  # a finger draws, it does not scroll
        wide, tall = page.run("return [pad.clientWidth, pad.clientHeight]")
        assert page.pixels("#pad").shape == (3 * tall, 3 * wide, 4)
        for name in ("undo", "clear", "open"):
            assert page.element(name).rect["height"] >= 44  # as large as a finger
        assert not page.complaints()
    finally:
        page.close()


def test_the_server_is_gone(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "digits.page", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        page = Page(server.stdout.readline().split()[3], tmp_path / "profile")
        try:
            page.open()
            server.terminate()
            server.wait()
            page.draw([[(200, 60), (200, 200)]])
            page.rows()
            assert page.text("trouble") == (
                "The server does not answer. Is draw_digit.py still running?"
            )
        finally:
            page.close()
