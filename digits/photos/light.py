"""From a photograph to the sheet as if evenly lit: gray, paper white, ink dark, no desk around it.

Every length is a fraction of the picture, never a number of camera pixels.
"""

import cv2
import numpy as np

from digits.photos.decode import WORKING_SIZE
from digits.types import Array

MIN_SIZE = 300
"""Smaller pictures are enlarged to this, so that lines are a few pixels wide."""

ONE_SIDED = 0.75
"""So skewed are the departures from the paper, in [-1, 1], that they are to one side only."""

DESK_CONTRAST = 0.57
"""By so much of its brightness a sheet is brighter than a dark desk, but not than a shadow."""

RECTANGLE_CONTRAST = 0.3
"""The same of a rectangle with all of its sides in the picture, which no shadow leaves ..."""

RECTANGLE_SIZE = 0.25
"""... if it is so large a part of the picture."""

MIN_SHEET, MIN_SHEETS = 0.05, 0.125
"""So large is one sheet at least, and so large are all together, as parts of the picture."""

MAX_CORNERS = 6
"""Of a sheet, in a picture that cuts two of them off; a light 0 or 8 on a dark screen is round."""

MIN_WRITING, MAX_WRITING = 0.005, 0.4
"""So much of a dark board is light."""


def working_copy(picture: Array) -> tuple[Array, float]:
    """The picture in gray at the size it is analyzed in, and that size over the original one."""
    longest = max(picture.shape[:2])
    scale = min(WORKING_SIZE, max(MIN_SIZE, longest)) / longest
    if scale != 1:
        size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        picture = cv2.resize(picture, size, interpolation=how)
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return picture, scale


def flatten_light(gray: Array) -> Array:
    """The picture as if evenly lit, uint8: paper 255, ink darker, whichever way round it was."""
    return divide_light(gray, *sheet_and_polarity(gray))


def sheet_and_polarity(gray: Array) -> tuple[Array | None, bool]:
    """Where the sheet is, if a desk is around it, or a dark board, if a wall is; and whether the
    writing is lighter than it."""
    sheet = find_sheet(gray)
    if sheet is None:
        sheet = find_board(gray)
    on_paper = gray if sheet is None else np.where(sheet, gray, np.uint8(np.median(gray[sheet])))
    return sheet, is_light_on_dark(on_paper)


def divide_light(gray: Array, sheet: Array | None, light_on_dark: bool) -> Array:
    """The picture as if evenly lit, dark on white, and white where there is no sheet.

    What a camera sees is light times reflectance, so the light divides away. The light is what
    remains when everything dark and thinner than a sixth of the picture is filled in (a
    morphological closing), which leaves hard shadows where they are.
    """
    if light_on_dark:
        gray = 255 - gray
    small = cv2.medianBlur(_reduce(gray, 400), 3)
    size = odd(min(small.shape) / 6)
    padded = cv2.copyMakeBorder(small, size, size, size, size, cv2.BORDER_REPLICATE)
    light = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
    light = cv2.medianBlur(light, 5)[size:-size, size:-size]
    light = cv2.resize(light, gray.shape[::-1], interpolation=cv2.INTER_LINEAR)
    flat = cv2.divide(gray, np.maximum(light, 32), scale=255)
    return flat if sheet is None else np.where(sheet, flat, np.uint8(255))


def is_light_on_dark(gray: Array) -> bool:
    """Whether the writing is lighter than what it is written on.

    Writing is the minority that departs from its surroundings, a median over a share of the
    picture: the sum of cubed departures has the sign of the ink. A median over a third follows
    shadows and the edges of a table. Fine ones see past glare, too, but not across a thick pen,
    where departures to both sides are alike; so they decide where they are to one side only.
    """
    small = _reduce(gray, 300)
    fine = (_skewness(small, 24) + _skewness(small, 12)) / 2
    return (fine if abs(fine) > ONE_SIDED else _skewness(small, 3)) > 0


def _skewness(gray: Array, share: float) -> float:
    """Of the departures from a median over such a share of the picture, in [-1, 1]."""
    size = odd(min(gray.shape) / share)
    padded = cv2.copyMakeBorder(gray, size, size, size, size, cv2.BORDER_REPLICATE)
    paper = cv2.medianBlur(padded, size)[size:-size, size:-size]
    cubes = (gray.astype(np.float64) - paper) ** 3
    return float(cubes.sum() / max(1.0, np.abs(cubes).sum()))


def find_sheet(gray: Array) -> Array | None:
    """Where the sheet is, bool, if a dark desk is around it, or where several of one size are.

    Sheets are the largest bright regions: convex, of few corners, together an eighth of the picture
    or more, away from all but one side of the picture, and far brighter than what is around them,
    or rectangles.
    """
    small = cv2.GaussianBlur(_reduce(gray, 200), (0, 0), 1.5)
    _, bright = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    margin = odd(max(small.shape) / 40)
    bright = cv2.morphologyEx(
        np.pad(bright, margin), cv2.MORPH_CLOSE, np.ones((margin, margin), np.uint8)
    )[margin:-margin, margin:-margin]
    contours, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(map(cv2.contourArea, contours), default=0.0)
    sheet, rectangles = np.zeros_like(small), True
    for outline in contours:
        if (area := cv2.contourArea(outline)) >= largest / 2:
            hull = cv2.convexHull(outline)
            corners = cv2.approxPolyDP(hull, 0.015 * cv2.arcLength(hull, closed=True), closed=True)
            if area < 0.8 * cv2.contourArea(hull) or len(corners) > MAX_CORNERS:
                return None
            cv2.fillConvexPoly(sheet, hull, 1)
            _, (width, height), _ = cv2.minAreaRect(outline)
            rectangles &= area > 0.85 * width * height
    edge = np.concatenate([sheet[0], sheet[-1], sheet[:, 0], sheet[:, -1]])
    if sheet.mean() < MIN_SHEETS or largest < MIN_SHEET * small.size or edge.mean() > 0.35:
        return None
    paper, desk = np.median(small[sheet > 0]), np.median(small[sheet == 0])
    whole = rectangles and not edge.any() and sheet.mean() > RECTANGLE_SIZE
    if paper - desk < (RECTANGLE_CONTRAST if whole else DESK_CONTRAST) * paper:
        return None
    inside = cv2.erode(np.pad(sheet, 1), np.ones((5, 5), np.uint8))[1:-1, 1:-1]
    if not inside.any():
        return None
    return cv2.resize(inside, gray.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def find_board(gray: Array) -> Array | None:
    """Where a dark board or screen is, bool, if a light wall is around it: a sheet of the inverted
    picture, with more light on it than along its sides, as no shadow and no dark thing has."""
    board = find_sheet(255 - gray)
    if board is None:
        return None
    margin = odd(max(gray.shape) / 20)
    middle = cv2.erode(board.astype(np.uint8), np.ones((margin, margin), np.uint8)) > 0
    light = gray > (float(np.median(gray[board])) + float(np.median(gray[~board]))) / 2
    everywhere, inside = light[board].mean(), light[middle].mean() if middle.any() else 0.0
    return board if max(MIN_WRITING, everywhere) < inside and everywhere < MAX_WRITING else None


def _reduce(gray: Array, longest: int) -> Array:
    scale = longest / max(gray.shape)
    if scale >= 1:
        return gray
    size = tuple(max(1, round(side * scale)) for side in gray.shape[::-1])
    return cv2.resize(gray, size, interpolation=cv2.INTER_AREA)


def odd(size: float) -> int:
    """The nearest odd number from 3 up: what a filter that has a middle needs."""
    return max(3, int(size) // 2 * 2 + 1)
