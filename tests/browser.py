"""A real browser on the page: what people do there with a mouse, a finger or the keyboard."""

import json
import shutil
import time
from base64 import b64decode
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from digits.data.synthetic_digits import strokes

Path2D = list[tuple[float, float]]

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE = 30
"""Seconds after which an answer is not awaited any longer."""


def hand(
    digit: int, rng: np.random.Generator, left: float, top: float, height: float
) -> list[Path2D]:
    return [
        [(left + height * x, top + height * y) for x, y in [*points[:-1:3], points[-1]]]
        for points, _ in strokes(digit, rng)
    ]


class Page:
    """The page in a browser of its own; close() ends it."""

    def __init__(self, address: str, profile: Path, *more_flags: str) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or ""
        size = "--window-size=1280,900"
        for flag in (*FLAGS, f"--user-data-dir={profile}", size, *more_flags):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.address = address
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.driver.get("about:blank")  # away from the page that a new window shows
        self.requests()

    def open(self) -> None:
        self.driver.get(self.address)
        self.wait_for("document.getElementById('reading').textContent")

    def as_phone(self, width: int = 390, height: int = 844) -> None:
        screen = {"width": width, "height": height, "deviceScaleFactor": 3, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        touch = {"enabled": True, "maxTouchPoints": 5}
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", touch)

    def close(self) -> None:
        self.driver.quit()

    def draw(self, paths: list[Path2D], pointer: str = "mouse") -> None:
        """Draw on the paper, in CSS pixels from its corner, with a mouse, pen or touch."""
        left, top = self.run(
            "const {left, top} = document.getElementById('pad').getBoundingClientRect();"
            "return [left, top]"
        )
        actions = ActionBuilder(self.driver, mouse=PointerInput(pointer, pointer), duration=8)
        for path in paths:
            places = [(round(left + x), round(top + y)) for x, y in path]
            actions.pointer_action.move_to_location(*places[0]).pointer_down()
            for place in places[1:]:
                actions.pointer_action.move_to_location(*place)
            actions.pointer_action.pointer_up()
        actions.perform()

    def press(self, *keys: str) -> None:
        for key in keys:
            webdriver.ActionChains(self.driver).send_keys(key).perform()

    def press_with_shift(self, *keys: str) -> None:
        chain = webdriver.ActionChains(self.driver).key_down(Keys.SHIFT)
        chain.send_keys(*keys).key_up(Keys.SHIFT).perform()

    def press_with_control(self, *keys: str) -> None:
        chain = webdriver.ActionChains(self.driver).key_down(Keys.CONTROL)
        for key in keys[:-1]:
            chain = chain.key_down(key)
        chain = chain.send_keys(keys[-1])
        for key in keys[:-1]:
            chain = chain.key_up(key)
        chain.key_up(Keys.CONTROL).perform()

    def open_tab(self, name: str) -> None:
        self.element(f"tab-{name}").click()

    def choose(self, name: str, value: str) -> None:
        self.driver.find_element("css selector", f"#{name} option[value='{value}']").click()

    def choose_file(self, path: Path) -> None:
        self.element("file").send_keys(str(path))

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def element(self, name: str) -> WebElement:
        return self.driver.find_element("id", name)

    def text(self, name: str) -> str:
        return self.element(name).text

    def wait_for(self, script: str, patience: float = PATIENCE) -> None:
        """Until the script returns something true."""
        end = time.monotonic() + patience
        while not self.run(f"return {script}"):
            assert time.monotonic() < end, f"{script}: not within {patience} seconds"
            time.sleep(0.02)

    def rows(self) -> list[str]:
        """What the page reads, after it has read all that was drawn."""
        self.wait_for("document.getElementById('reading').ariaBusy === 'false'")
        return [line for line in self.text("reading").split("\n") if line.isdigit()]

    def pixels(self, canvas: str) -> NDArray[np.uint8]:
        """The pixels (height, width, 4) of a canvas: red, green, blue and how opaque they are."""
        address = self.run(f"return document.querySelector({json.dumps(canvas)}).toDataURL()")
        png = np.frombuffer(b64decode(address.partition(",")[2]), np.uint8)
        picture = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
        assert picture is not None
        return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA).astype(np.uint8)

    def complaints(self) -> list[str]:
        """What the browser had to complain of since this was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since this was last asked."""
        entries = [json.loads(entry["message"]) for entry in self.driver.get_log("performance")]
        return [
            entry["message"]["params"]["request"]["url"]
            for entry in entries
            if entry["message"]["method"] == "Network.requestWillBeSent"
        ]
