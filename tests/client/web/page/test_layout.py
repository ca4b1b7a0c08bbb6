"""The page in all its widths and colours, and for who wants no motion."""

import pytest

from tests.client.web.page.conftest import Opener

_OUTSIDE = """
return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility())
  .filter(e => !e.closest('.quick, dialog, .skip, svg'))
  .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 120));
"""
_NAMELESS = """
const asked = 'button, a, input, select, [role=slider], canvas';
return [...document.querySelectorAll(asked)].filter(e => e.checkVisibility())
  .filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML);
"""
# Contrast of texts with what is behind them, by WCAG 2; where pictures are behind, nothing is counted.
_CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgba = (text) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const luminance = (colour) => {
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = colour.slice(0, 3).map(v => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const colour = rgba(getComputedStyle(e).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return [255, 255, 255, 255];
};
return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility())
  .filter(e => !e.closest('.player, .rank, .choose, .skip, svg, option'))
  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())).map(e => {
    const [a, b] = [luminance(rgba(getComputedStyle(e).color)), luminance(behind(e))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.trim().slice(0, 30), e.className];
  }).filter(([ratio]) => ratio < 4.5);
"""


_SLOW = pytest.mark.slow
_OTHERS = [pytest.param(390, "light", marks=_SLOW), pytest.param(1440, "dark", marks=_SLOW)]


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark"), *_OTHERS])
def test_every_section_fits_is_named_and_can_be_read(opened: Opener, width: int, scheme: str) -> None:
    page = opened(width=width, height=844, scheme=scheme)
    page.search_with("v0.mp4")
    page.run("document.querySelectorAll('#view-search .choose')[0].click()")
    page.click("#view-search .filters > .row > button")
    for section in ("search", "videos", "map", "label"):
        page.go(section)
        page.until("return !document.querySelector(`#view-${arguments[0]} .skeleton`)", section)
        assert page.run("return document.documentElement.scrollWidth") == width, section
        assert page.run(_OUTSIDE) == [], section
        assert page.run(_NAMELESS) == [], section
        assert page.run(_CONTRAST) == [], section
    paper = page.run("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(16, 19, 22)") == (scheme == "dark")
    page.click("#theme")
    assert page.run("return document.documentElement.dataset.theme") == "light"
    page.click("#theme")
    page.click("#theme")
    assert page.run("return document.documentElement.dataset.theme") == "auto"
    assert page.foreign_requests() == []
    assert page.complaints() == []


def test_who_wants_no_motion_gets_pictures_until_asking(opened: Opener) -> None:
    page = opened("videos", motion=False)
    page.until(
        "const images = [...document.querySelectorAll('#view-videos img')];"
        "return images.length > 0 && images.every(image => image.naturalWidth > 0)"
    )
    assert page.run("return document.querySelectorAll('video').length") == 0
    page.run("document.querySelector('#view-videos .play').click()")
    page.until("return document.querySelector('#view-videos .player.is-playing video')?.currentTime > 0")
    assert page.run("return document.querySelectorAll('video').length") == 1
