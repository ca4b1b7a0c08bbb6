"""How views are shown."""

import cv2
import numpy as np

from cocon.video.preview.drawings import scale_colours


def test_a_colour_scale_rises_in_lightness_from_blue_to_yellow() -> None:
    colours = scale_colours(np.arange(256, dtype=np.uint8)[None])
    lightness = cv2.cvtColor(colours, cv2.COLOR_RGB2LAB)[0, :, 0].astype(int)
    assert np.diff(lightness).min() >= -1
    assert lightness[-1] > 200 > 60 > lightness[0]
    assert colours[0, 0].argmax() == 2
    assert colours[0, -1].argmin() == 2
