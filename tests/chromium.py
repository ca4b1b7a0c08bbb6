"""Chromium as the tests of pages have it: without a window, and told to ask nobody for anything."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

Browser = webdriver.Chrome

_SWITCHES = (
    "headless no-sandbox disable-gpu disable-dev-shm-usage disable-background-networking "
    "disable-component-update disable-sync hide-scrollbars"
)


@contextmanager
def opened_chromium() -> Iterator[Browser]:
    """A browser; its logs `browser` and `performance` have what pages complained of, and what they fetched."""
    programs = [shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")]
    if not all(programs):
        pytest.fail("pages are tested in Chromium; run: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs[0])
    for switch in _SWITCHES.split():
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(programs[1])))
    try:
        yield driver
    finally:
        driver.quit()


def set_window(
    browser: Browser, *, width: int = 1280, height: int = 900, scheme: str = "light", motion: bool = True
) -> None:
    """The size of what a page has, in CSS pixels, and what its reader wishes of colours and motion."""
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "no-preference" if motion else "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
