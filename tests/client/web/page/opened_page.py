"""The page in a browser: what a person sees, presses and types."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.chromium import Browser, set_window
from tests.client.web.server import WebServer

_WAIT_S = 60  # until it is given up; nothing here is a claim about speed
HITS = "#view-search .card .rank"


@dataclass(frozen=True)
class OpenedPage:
    """The page of a server, open in a browser."""

    browser: Browser
    server: WebServer

    @classmethod
    def of(cls, browser: Browser, server: WebServer, section: str = "search", **window: Any) -> "OpenedPage":
        """Open it as the person does, by the address with the token; `window` is of `set_window`."""
        page = cls(browser, server)
        set_window(browser, **window)
        browser.get("about:blank")
        browser.get_log("performance")
        browser.get_log("browser")
        origin = {"origin": f"http://127.0.0.1:{server.port}", "storageTypes": "local_storage"}
        browser.execute_cdp_cmd("Storage.clearDataForOrigin", origin)
        browser.get(server.address)
        page.until("return document.querySelector('#model')?.childElementCount > 0")
        page.go(section)
        return page

    def go(self, section: str) -> None:
        self.run("location.hash = arguments[0]", section)
        self.one(f"#view-{section}:not([hidden])")

    def run(self, script: str, *values: object) -> Any:
        return self.browser.execute_script(script, *values)

    def until(self, script: str, *values: object) -> Any:
        """What a script returns, as soon as that is something."""
        return WebDriverWait(self.browser, _WAIT_S, 0.05).until(lambda _: self.run(script, *values), script)

    def all(self, selector: str) -> list[WebElement]:
        """The elements that can be seen."""
        return list(self.run(_SEEN, selector))

    def one(self, selector: str) -> WebElement:
        """The first of them, as soon as there is one."""
        found: WebElement = self.until(_SEEN + "[0]", selector)
        return found

    def texts(self, selector: str) -> list[str]:
        return [str(text) for text in self.run(_TEXTS, selector)]

    def click(self, selector: str) -> None:
        """Click the first that can be seen, also where it is drawn anew at that moment."""

        def clicked(_: object) -> bool:
            self.run("arguments[0].scrollIntoView({block: 'center'})", found := self.one(selector))
            found.click()
            return True

        ignored = (StaleElementReferenceException, ElementClickInterceptedException)
        WebDriverWait(self.browser, _WAIT_S, 0.05, ignored).until(clicked)

    def fill(self, selector: str, text: str) -> None:
        """Type into a field, in place of what is there, and leave it."""
        field = self.one(selector)
        self.run("arguments[0].select()", field)
        field.send_keys(text + "\n")

    def press(self, *keys: str) -> None:
        """Keys, wherever the focus is."""
        for key in keys:
            ActionChains(self.browser).send_keys(key).perform()

    def choose_file(self, file: Path) -> None:
        """As the system's dialog does."""
        field = "#view-search input[type=file]"
        self.until("return document.querySelector(arguments[0])", field)
        self.browser.find_elements(By.CSS_SELECTOR, field)[-1].send_keys(str(file))

    def search_with(self, name: str) -> None:
        """Take a video of the index, and see its hits."""
        self.one("#view-search .card[data-video]")
        self.run(_FIND, name)
        self.one(HITS)

    def hits(self) -> list[str]:
        """Names of the hits that are shown, when the search has settled."""
        self.until("return !document.querySelector('#view-search .is-stale, #view-search [aria-busy=true]')")
        return self.texts("#view-search .results .card:not(.skeleton) .name")

    def focused(self) -> str:
        """What has the focus, by its label or its text."""
        return str(self.run("const e = document.activeElement; return e.getAttribute('aria-label') || e.textContent"))

    def foreign_requests(self) -> list[str]:
        """Addresses elsewhere that were asked since the page was opened; and that some were asked here."""
        asked = [
            message["params"]["request"]["url"]
            for entry in self.browser.get_log("performance")
            if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"
        ]
        own = [url for url in asked if urlsplit(url).netloc == f"127.0.0.1:{self.server.port}"]
        assert len(own) > 15
        return [url for url in asked if url not in own and not url.startswith(("blob:", "data:", "about:"))]

    def complaints(self) -> list[str]:
        """What the browser found wrong: scripts, styles, policies, answers."""
        return [entry["message"] for entry in self.browser.get_log("browser")]


_SEEN = "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility())"
_TEXTS = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent.trim())"
_FIND = """
const cards = [...document.querySelectorAll('#view-search .card[data-video]')];
cards.find(card => card.querySelector('.name').textContent === arguments[0]).querySelector('[data-key=Enter]').click();
"""
