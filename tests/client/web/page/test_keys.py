"""The page without a mouse."""

from selenium.webdriver.common.keys import Keys

from tests.client.web.page.conftest import Opener
from tests.client.web.page.opened_page import HITS


def test_everything_goes_by_keys(opened: Opener) -> None:
    page = opened()
    page.press(Keys.TAB)
    assert page.focused() == "Skip to the content"
    assert page.run("return document.activeElement.getBoundingClientRect().top >= 0"), "it is seen now"
    page.press("?")
    assert page.one("dialog h2").text == "Keys"
    page.press(Keys.ESCAPE)
    page.until("return !document.querySelector('dialog')")
    page.press("v")
    page.one("#view-videos .card[data-video]")
    page.press("/")
    page.until("return document.activeElement.type === 'search'")
    page.press("right/v")
    page.until("return document.querySelectorAll('#view-videos .card[data-video]').length === 3")
    page.press(*[Keys.TAB] * 3)
    assert page.focused().startswith("v3.mp4")
    assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press(Keys.ARROW_RIGHT)
    assert page.focused().startswith("v4.mp4")
    page.press("x", Keys.ARROW_RIGHT, "x")
    assert page.one("#selection strong").text == "2 selected"
    page.press("t")
    assert page.focused() == "Label"
    page.press(Keys.ESCAPE, Keys.TAB, Keys.TAB)
    page.run("document.querySelector('#view-videos .card[data-video]').focus()")
    page.press(Keys.ESCAPE)
    assert page.all("#selection") == []


def test_hits_are_played_and_compared_by_keys(opened: Opener) -> None:
    page = opened("videos")
    page.one("#view-videos .card[data-video]")
    page.run("document.querySelectorAll('#view-videos .card')[3].focus()")
    page.press(Keys.ENTER)
    page.one(HITS)
    assert page.one(".query .name").text == "v3.mp4"
    page.run("document.querySelector('#view-search .results .card').focus()")
    page.press("p")
    page.until("return !document.querySelector('.player.is-playing')")
    page.press(Keys.SPACE)
    page.until("return document.activeElement.querySelector('.player.is-playing')")
    page.press("a")
    page.until("return document.querySelector('dialog img')?.naturalWidth > 300")
    page.press(Keys.ESCAPE, "p")
    page.press("m")
    page.one("#view-map:not([hidden])")
    page.press("g")
    page.one("#view-label:not([hidden])")


def test_letters_do_nothing_where_they_are_not_wanted(opened: Opener) -> None:
    page = opened()
    page.press("?")
    page.click("dialog .check input")
    page.press(Keys.ESCAPE)
    page.press("v")
    assert page.all("#view-videos") == []
    page.click("#help")
    page.click("dialog .check input")
    page.press(Keys.ESCAPE, "v")
    page.one("#view-videos .card[data-video]")
