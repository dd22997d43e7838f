"""Handwriting-like digits drawn from stroke templates, prepared exactly as MNIST's were.

They are the data set that needs no download: for every digit a table of the ways people write
it, and a pen that never writes the same digit twice.

From a table entry to an image, `generate` goes through these steps, one function each:

    STYLES ─ _pen_paths ─ _pen_radii ─ _fit_to_box ─ _draw ─ _centre_by_mass ─► 28x28 grey levels
             control      pressure     MNIST's 20x20  ink     MNIST's centre
             points,                   box                    of mass
             jittered
             and warped

The same generator state gives the same images, bit for bit, whatever the processor and the BLAS
library.  `Generator.random` is the only source of randomness, and every later step is either an
elementwise ``+ - * / sqrt``, which IEEE 754 rounds the same way everywhere, or arithmetic on
integers small enough to be exact in any order; sines, exponentials, floating-point sums and
matrix products of fractions are avoided for that reason.
"""

from functools import cache
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

# The ways of writing each digit: name -> (how common it is, the strokes).
#
# A stroke is a list of "x,y" points that the pen passes through on a smooth curve, in hundredths
# of the digit's height: x to the right, y downwards, 0 the top and 100 the foot.  "!" after a
# point makes it a sharp corner, "|" lifts the pen.  How common a style is counts relative to the
# other styles of the same digit.  To add a style, add a line.
STYLES: dict[int, dict[str, tuple[float, str]]] = {
    0: {
        "oval": (5, "39,0 13,16 -2,50 7,84 30,100 57,84 69,50 60,16 39,0"),
        "overlapping at the top": (
            2,
            "54,6 33,2 8,25 -3,58 8,90 33,100 60,82 71,45 62,12 40,-2 24,10",
        ),
        "begun at the left": (2, "22,10 3,38 0,72 18,99 47,92 66,60 66,25 49,2 26,2 11,16"),
        "lead-in from above": (
            1.5,
            "30,-8 29,12 10,26 0,58 14,92 36,100 60,84 66,52 54,22 30,13 14,20",
        ),
        "tail inside": (1.3, "33,4 8,28 -3,62 12,95 40,97 63,68 69,34 56,8 33,0 38,16"),
        "clockwise": (1.3, "49,0 66,20 68,55 49,90 25,100 3,80 -2,48 13,15 37,0 54,4"),
        "tail across": (0.9, "33,2 8,22 -3,58 10,92 36,98 61,74 67,34 50,4 26,8 35,34 45,56"),
        "crossing ends": (0.9, "14,0 40,10 62,36 60,74 36,98 8,84 0,48 16,16 50,-3"),
        "small loop at the top": (
            0.8,
            "33,2 45,10 33,0 11,18 -2,52 9,86 33,100 58,84 69,48 60,16 41,4 30,12",
        ),
        "tail outside": (0.8, "70,-4 39,2 10,20 -2,55 8,88 33,100 60,82 67,45 54,12 31,5"),
        "ear": (0.7, "62,-6 48,8 30,3 8,22 0,56 14,92 38,100 62,80 66,44 52,14 36,4"),
        "open at the top": (0.7, "24,4 6,30 0,64 16,96 44,96 62,66 60,30 48,10"),
        "spiral": (0.6, "56,14 39,2 13,14 -2,50 6,86 31,100 58,84 69,50 62,20 43,8 32,20"),
        "tail down the middle": (
            0.6,
            "39,0 11,18 0,52 10,90 34,98 58,80 67,44 56,10 39,2 31,30 25,58",
        ),
        "crossing at the top left": (
            0.5,
            "28,6 6,30 -3,64 10,94 36,98 61,74 69,36 54,8 22,2 11,10",
        ),
        "deep spiral": (0.25, "58,6 34,0 8,22 0,58 16,96 46,96 66,62 60,24 40,16 22,34"),
        "open at the foot": (0.25, "12,97 0,60 10,18 34,0 58,20 66,60 54,98"),
        "slashed": (0.15, "39,0 13,16 -2,50 7,84 30,100 57,84 69,50 60,16 39,0 | 65,8 6,92"),
    },
    1: {
        "bar": (8, "6,0 3,50 0,100"),
        "straight bar": (5, "6,0 0,100"),
        "flag and foot": (1.3, "-16,22 5,0! 3,50 0,100 | -26,100 26,99"),
        "flag": (1.1, "-10,18 5,0! 3,50 0,100"),
        "rounded flag": (0.8, "-9,14 0,5 6,0! 4,50 0,100"),
        "bent": (0.6, "10,0 2,30 -2,70 0,100"),
        "steep flag": (0.5, "-14,44 -2,24 6,2! 4,50 0,100"),
        "hooked foot": (0.4, "6,0 0,50 -4,97! 5,84"),
        "foot": (0.3, "8,0 4,50 0,100 | -25,100 25,100"),
        "double flag": (0.3, "-16,10 0,5 5,0! 3,50 0,100 | -25,98 25,100"),
        "leaning back foot": (0.25, "6,0 0,50 -3,88 4,99 13,93"),
        "long flag": (0.1, "-18,26 -6,13 5,0! 3,50 0,100"),
    },
    2: {
        "straight foot": (3, "2,24 10,6 32,0 53,12 56,34 43,58 23,82 4,100! 38,97 74,100"),
        "loop": (3, "4,20 18,3 41,3 55,22 48,50 28,80 10,97 -3,90 5,78 25,82 50,95 77,92"),
        "wide loop": (
            3,
            "6,20 16,4 38,2 51,18 49,42 38,72 20,95 2,100 -7,88 6,75 30,78 53,92 80,98",
        ),
        "upright stem and round loop": (
            2.5,
            "5,14 26,0 49,10 59,40 56,74 38,98 14,98 2,80 15,64 38,70 57,86 74,98",
        ),
        "wavy foot": (2, "-1,14 21,0 46,6 56,28 45,55 24,80 7,93 2,99! 23,92 46,98 76,94"),
        "round loop": (
            2,
            "3,16 20,2 42,6 52,26 46,56 33,86 14,100 -2,94 -2,78 18,70 40,78 62,94 83,92",
        ),
        "small loop": (1.5, "2,12 26,0 49,10 51,35 37,62 19,88 4,98 0,86 14,80 37,90 60,102 82,98"),
        "high loop": (1.5, "8,30 11,10 32,0 51,12 51,36 37,66 19,88 3,86 3,68 23,64 46,74 67,86"),
        "big loop": (1.2, "1,10 26,0 51,8 53,32 37,66 16,96 -4,96 -8,78 13,68 38,74 63,90 74,100"),
        "loops at head and foot": (
            1.1,
            "29,34 10,26 10,6 32,0 49,14 46,46 25,84 4,98 -1,86 14,76 39,86 75,86",
        ),
        "like a z": (1, "-3,8 26,2 53,8 51,34 29,66 6,98! 66,97"),
        "rounded foot": (1, "0,30 3,10 26,0 47,10 52,30 44,50 26,72 13,86 6,96 20,100 46,99 69,90"),
        "sinking foot": (
            1,
            "8,22 16,6 38,0 53,14 53,40 42,72 24,98 8,102 3,90 17,82 39,88 60,100 70,106",
        ),
        "round loop without a tail": (
            1,
            "7,16 28,0 51,12 60,44 52,80 32,100 9,92 4,72 21,60 45,68 62,78",
        ),
        "headless loop": (1, "32,4 46,0 51,18 44,48 26,80 8,98 -3,88 8,72 32,74 66,80"),
        "rising foot": (0.8, "0,30 9,8 34,0 57,14 55,40 31,60 8,76 3,90 18,96 45,90 79,90"),
        "curl in the head": (0.8, "3,16 14,26 19,10 36,0 53,14 50,44 30,74 6,98! 34,94 68,100"),
        "loop and short foot": (
            0.8,
            "13,10 36,0 55,14 49,42 28,78 8,98 -5,90 8,74 29,84 44,100 60,102",
        ),
        "bulging to the right": (0.8, "3,8 32,0 55,18 58,52 43,88 8,96! 38,95 74,97"),
        "hooked head": (0.7, "8,26 -3,16 12,2 38,2 52,20 46,48 26,76 4,96! 33,92 54,98 73,90"),
        "large loop and rising tail": (
            0.7,
            "15,10 40,0 58,20 58,56 43,92 16,98 2,78 16,56 48,52 76,46",
        ),
        "drooping head": (0.7, "1,36 7,12 14,4 38,2 55,8 49,36 28,70 8,98! 34,95 64,99"),
        "upright stem and straight foot": (0.6, "15,14 26,0 37,12 36,46 28,76 6,97! 38,96 76,95"),
        "foot to the right only": (0.6, "16,22 20,4 44,2 52,20 42,48 26,72 20,93! 40,99 62,92"),
        "short foot": (0.4, "8,20 24,3 48,4 54,22 44,52 22,84 4,98 26,98 50,93"),
        "headless and flat": (0.25, "20,10 36,0 46,20 30,60 0,96 -8,80 20,62 60,62 105,58"),
        "small head and short foot": (0.2, "14,14 28,0 42,12 38,44 28,74 10,97! 34,97 56,93"),
    },
    3: {
        "two bows": (3, "2,14 21,0 44,5 52,22 41,40 20,47! 44,50 62,70 53,92 30,100 3,90"),
        "rounded waist": (
            2,
            "1,10 24,0 49,10 48,30 33,43 22,47 36,47 57,58 62,80 44,98 18,100 3,90",
        ),
        "loop in the waist": (
            1.5,
            "2,12 24,0 47,10 46,30 30,46 14,48 19,38 42,50 60,72 48,94 24,100 3,92",
        ),
        "small head": (1.4, "10,5 46,0! 23,34! 45,40 59,62 48,94 20,100 1,92"),
        "flat top": (1.3, "0,3 54,2! 25,40! 48,46 61,68 51,92 26,100 3,90"),
        "lying loop in the waist": (
            1.3,
            "2,20 20,2 45,8 44,28 20,50 6,52 22,44 54,52 63,68 51,90 26,100",
        ),
        "long tail": (1, "-4,6 26,0 47,14 37,36 20,44! 46,52 56,72 40,94 14,102 -6,98"),
        "curled tail": (1, "8,20 16,4 38,2 50,20 39,42 24,50! 46,56 58,76 46,96 24,100 9,88 14,78"),
        "big head": (1, "1,16 24,0 51,12 45,38 17,58! 49,60 60,75 50,95 26,100"),
        "waist far to the left": (0.9, "6,16 26,2 48,8 44,30 14,51! 40,50 62,61 58,82 34,98 14,92"),
        "no tail": (0.8, "-4,6 22,2 46,4 43,18 25,38! 45,42 51,60 37,86 20,100"),
        "narrow": (0.8, "3,10 26,0 45,10 38,30 19,42 30,44 48,54 52,74 38,94 22,100"),
        "shallow bows": (0.8, "1,10 30,0 47,13 40,31 27,41 42,51 49,71 40,100"),
        "wide loop in the waist": (
            0.3,
            "-3,16 20,0 49,8 48,28 21,40 7,36 19,34 46,50 54,76 30,100 -2,96",
        ),
        "head leaning to the right": (0.3, "26,10 60,2! 36,36! 50,46 56,66 40,92 8,100 -8,92"),
        "closed belly": (
            0.2,
            "7,14 26,0 47,10 43,32 21,43! 50,50 60,74 42,98 16,94 8,76 21,65 39,62",
        ),
    },
    4: {
        "open": (4, "10,0 5,25 0,52! 30,50 66,48 | 54,6 50,50 44,100"),
        "open and rounded": (1.6, "8,2 1,30 8,50 30,53 60,44 | 62,0 56,50 48,100"),
        "closed": (1.4, "50,0 21,34 0,60! 34,60 72,58 | 52,0 48,50 42,100"),
        "one stroke": (1.3, "2,4 1,32 12,48 36,48 57,30 62,2! 56,50 48,100"),
        "short arm": (1, "14,0 2,40! 35,36 63,34 | 60,0 50,50 38,100"),
        "closed from the foot": (0.9, "48,100 52,50 56,0! 25,32 0,58! 36,60 72,58"),
        "deep bowl": (0.6, "10,4 1,36 16,60 44,54 61,30 64,0! 64,50 58,100"),
        "low stem": (0.4, "16,0 4,26 -2,48! 30,47 64,43 | 50,24 45,60 40,100"),
        "like a y": (0.4, "12,0 4,20 6,40 30,42 53,30 | 64,4 51,30 35,62 22,100"),
        "closed, bar ending at the stem": (0.35, "47,100 48,50 48,0! 20,28 -3,57! 30,56 56,53"),
        "triangle": (0.3, "49,4 22,30 -1,56! 30,56 60,52 | 52,2 50,50 46,100"),
        "pointed": (0.3, "42,0 18,28 0,54! 30,53 62,48 | 45,26 42,64 40,100"),
        "small cup": (0.15, "4,8 8,28 30,32 54,18 | 62,0 46,46 30,100"),
    },
    5: {
        "one stroke": (3, "66,0 38,2 13,3! 9,22 6,42! 30,36 53,48 59,70 43,92 19,100 -2,93"),
        "hat last": (2, "11,2 9,20 7,42! 30,36 53,48 60,70 45,92 19,100 -2,92 | 9,2 36,2 66,0"),
        "like an s": (2, "64,2 36,4 19,8 11,28 19,42 41,52 51,70 41,90 17,100 -6,96"),
        "slanting neck": (1.5, "68,0 30,5! 17,24 9,42 30,44 47,58 47,78 30,96 2,100"),
        "curled tail": (1.4, "60,4 30,4 11,6! 9,26 7,46 28,40 51,48 62,70 49,94 22,100 2,88 7,74"),
        "loose hat": (1.2, "19,10 13,26 9,42 30,42 47,56 47,78 28,97 -2,98 | 24,6 47,3 72,-2"),
        "long loose hat": (1, "30,12 19,28 11,48! 34,44 51,58 49,82 30,98 5,98 | 28,10 51,6 89,-4"),
        "leaning with a small belly": (0.9, "81,0 43,12! 34,34 26,47! 43,56 43,78 24,97 -6,100"),
        "hooked tail": (0.8, "58,0 30,0 15,6! 13,30 17,40 36,38 55,50 55,80 34,100 7,96 0,84"),
        "small belly": (0.8, "72,2 41,6 26,10! 17,30 13,44! 34,46 43,64 36,86 15,100 -12,98"),
        "short neck": (0.8, "66,1 41,4 17,10! 17,22 15,34! 43,38 58,62 43,92 13,100 -6,90"),
        "long hat and curled tail": (
            0.8,
            "70,-2 44,6 20,14! 14,30 8,47! 28,40 46,52 46,78 28,98 6,96 -4,82 2,70",
        ),
        "curled hat": (0.7, "62,16 53,2 28,3 11,20 22,40 47,50 55,72 41,94 11,100"),
        "neck and hat last": (0.6, "13,42 22,6! 75,-2 | 11,44 43,38 58,60 45,92 7,100"),
        "closed belly": (0.5, "58,2 28,3 16,6! 13,28 8,50! 30,40 54,52 56,80 32,100 6,92 -2,80"),
        "hat across the neck": (
            0.4,
            "24,10 20,28 14,44! 40,44 54,62 42,92 12,100 -2,92 | 2,7 40,4 68,0",
        ),
        "hardly a belly": (0.4, "72,0 38,10! 30,30 26,46 36,60 32,84 10,100"),
        "nearly closed belly": (
            0.3,
            "58,2 28,3 16,6! 13,28 8,50! 30,42 54,52 56,80 32,100 6,92 0,77 6,66",
        ),
        "closed belly, leaning": (
            0.2,
            "66,0 36,5! 24,30 14,50! 36,44 52,58 48,86 26,100 2,92 -4,76 4,66",
        ),
    },
    6: {
        "plain": (3, "46,0 22,24 5,56 6,84 26,100 50,92 56,72 42,57 20,62 2,82"),
        "upright": (2, "27,0 13,28 3,62 11,92 33,100 54,86 51,64 30,58 11,70 8,84"),
        "small belly": (1.5, "17,0 5,34 1,70 17,97 41,97 52,80 43,62 23,62 10,80"),
        "bent top": (1.1, "46,5 30,8 12,32 2,62 10,92 34,100 56,84 54,62 34,53 14,64 0,84"),
        "curled in": (1, "33,0 15,26 5,60 12,90 33,100 54,90 61,70 46,52 24,56 13,74 24,86"),
        "crossing the stem": (1, "21,0 7,32 1,66 13,94 37,98 52,80 39,62 17,70 -4,90"),
        "flat belly": (1, "27,0 7,38 4,78 21,98 51,92 63,70 44,56 17,68 4,88"),
        "large belly": (1, "24,0 6,30 -2,66 10,96 36,98 58,78 58,54 42,43 22,52 8,70 6,78"),
        "loop to the right": (1, "9,2 0,42 6,84 29,99 52,88 63,66 52,52 37,62 34,84 49,98 69,94"),
        "leaning": (0.9, "56,0 32,20 10,50 0,76 12,97 34,98 46,82 36,68 16,72 -2,90"),
        "rising foot": (0.9, "15,0 3,40 4,80 21,100 44,86 53,66 40,58 23,74 29,92 51,92 72,80"),
        "wide belly": (0.8, "37,0 15,30 3,64 8,90 31,100 58,90 71,70 60,54 35,64 12,86"),
        "straight": (0.8, "7,0 1,30 1,62 13,92 37,100 58,84 53,62 30,54 11,66 4,80"),
        "low and crossing": (0.7, "19,0 5,40 10,80 31,100 52,90 55,70 37,60 14,76 -5,100"),
        "open belly": (0.7, "15,0 3,40 2,78 17,98 43,97 50,84 34,78 20,82"),
        "spiral": (0.6, "27,2 7,26 1,62 17,94 43,98 60,76 54,50 34,44 22,58 31,74"),
        "tiny belly": (0.6, "21,0 7,40 2,82 11,99 27,97 32,85 18,79 4,90"),
        "steep hook": (0.4, "30,0 8,44 2,70 14,92 44,84 68,62 44,60 24,78 40,100"),
    },
    7: {
        "plain": (4.5, "-6,6 24,4 53,3! 40,40 33,70 29,100"),
        "rounded": (2, "-5,10 14,4 38,6 54,10 51,30 37,60 33,100"),
        "crossed": (2, "-6,6 24,5 53,3! 41,42 33,72 31,100 | 13,52 34,50 57,47"),
        "serif": (1.5, "-4,20 -4,5! 26,5 55,2! 42,36 35,70 35,100"),
        "wavy bar and hooked foot": (1.1, "-3,24 0,4 18,8 40,12 58,0! 47,30 30,66 23,96 37,99"),
        "hooked": (1, "-3,22 -1,8 15,0 38,8 55,2! 47,30 41,60 43,100"),
        "returning serif": (1, "-1,26 -2,2! 1,10 28,8 57,4! 46,36 34,68 31,100"),
        "hooked foot": (1, "-4,18 0,3 24,8 57,4! 42,40 33,72 33,96 41,100"),
        "wavy and crossed": (
            0.8,
            "-4,14 4,2 20,10 40,10 56,0! 47,28 36,62 33,100 | 16,50 40,48 59,44",
        ),
        "rounded and upright": (0.8, "-6,6 24,4 49,4 56,12 53,32 49,60 49,100"),
        "barbed": (0.8, "-5,12 -1,24 0,6 28,6 58,0! 43,34 29,70 23,100"),
        "rising bar": (0.8, "10,2 4,20! 32,17 68,2! 46,44 26,100"),
        "long serif": (0.8, "1,36 -3,6! 23,3 51,1! 49,34 44,66 43,100"),
        "round shoulders": (0.8, "-2,30 5,9 31,0 58,10 56,40 40,78 29,100"),
        "upright": (0.7, "-6,4 24,6 49,6! 48,40 48,70 51,100"),
        "leaning": (0.7, "-5,12 21,2 50,0! 34,34 19,70 12,100"),
        "sinking bar": (0.6, "-6,2 22,8 50,10 61,18 48,40 32,66 26,90 31,102"),
        "crossed low": (0.5, "2,8 30,4 62,4! 48,40 34,70 28,100 | 10,70 58,64"),
        "zigzag serif": (0.4, "0,36 18,8! 26,25 62,2! 38,58 22,100"),
        "rising bar and crossed": (0.3, "8,4 4,20! 32,16 68,4! 46,44 28,100 | 14,54 36,52 62,50"),
        "like a y": (0.25, "0,4 10,25 36,22 62,4! 48,48 36,100"),
        "flat and round": (0.25, "0,60 10,14 50,0 96,18 90,58 60,100"),
        "short bar": (0.15, "-4,14 9,9 27,0! 30,50 35,100"),
        "one curve": (0.15, "0,2 24,10 41,34 42,66 31,98"),
        "long serif and crossed": (0.15, "2,34 4,6! 34,4 62,2! 48,50 34,100 | 8,54 36,52 62,49"),
    },
    8: {
        "from the top right": (
            3,
            "50,12 31,0 10,10 11,30 32,46 53,64 53,88 31,100 8,90 8,70 28,50 50,32 54,14 44,4",
        ),
        "from the waist": (
            2,
            "30,48 9,32 10,10 31,0 52,10 50,32 30,48 8,66 10,92 33,100 55,90 53,66 30,48",
        ),
        "open at the top": (
            1.5,
            "57,6 35,0 14,12 18,32 39,50 49,72 38,94 18,98 6,80 21,58 43,38 59,10",
        ),
        "from the top left": (
            1.5,
            "10,8 13,28 34,46 49,68 44,92 23,100 6,86 13,66 34,46 50,24 44,4 25,-2 10,8",
        ),
        "ribbon": (1.5, "8,6 16,30 34,54 42,84 23,100 6,84 21,56 43,30 59,2"),
        "leaning": (1.2, "61,2 43,22 21,50 6,76 12,96 35,98 48,80 36,56 16,32 16,10 35,0 57,6"),
        "two circles": (
            1,
            "29,0 9,12 11,34 32,44 52,32 50,10 29,0 | 32,44 6,60 6,86 31,100 57,86 55,60 32,44",
        ),
        "open at the right": (
            1,
            "54,16 38,2 16,6 13,26 32,44 43,62 42,88 25,100 10,90 12,70 30,48 49,36 58,20",
        ),
        "leaning and open": (
            1,
            "46,6 23,2 9,16 18,36 39,54 47,76 37,96 14,98 8,78 23,56 43,36 63,14",
        ),
        "small head": (1, "48,7 32,0 18,15 33,37 54,60 52,88 28,100 6,86 12,60 34,40 50,20 47,5"),
        "tail inside": (
            0.8,
            "58,20 54,4 33,-2 12,10 15,28 34,40 45,56 42,80 27,100 12,92 13,70 30,46 52,30",
        ),
        "like a closed 3": (
            0.8,
            "20,26 8,12 30,0 54,12 44,36 28,46 50,58 56,80 32,100 6,86 14,62 34,46 14,32 8,14",
        ),
        "ribbon from the right": (
            0.8,
            "64,6 42,28 14,60 6,84 24,100 44,86 38,62 22,36 18,12 34,2 44,12",
        ),
        "diamond head": (0.8, "36,0 20,20 3,40 26,48 52,60 56,82 36,100 20,84 30,56 42,26 38,4"),
        "wide head": (
            0.6,
            "36,46 11,34 7,14 29,0 57,6 58,28 36,46 21,66 21,90 37,100 48,88 45,66 36,46",
        ),
        "big head": (0.6, "48,8 23,0 5,18 7,42 30,56 42,76 33,98 18,92 21,70 39,52 60,30 48,8"),
        "ribbon with a long tail": (0.6, "2,8 14,30 36,56 40,84 22,100 6,84 20,58 46,34 74,0"),
        "tail at the waist": (
            0.6,
            "66,38 34,42 8,30 14,6 34,0 42,16 34,44 16,70 16,94 38,100 54,84 48,60 28,40 10,26",
        ),
        "open at the foot": (0.5, "8,98 14,66 34,46 54,26 50,6 30,0 10,10 12,30 32,46 52,66 56,98"),
        "narrow foot": (0.4, "36,50 16,36 18,10 42,0 60,16 52,38 36,50 24,74 32,100 46,84 36,52"),
        "wide": (0.4, "66,24 46,2 12,6 0,28 22,46 60,52 70,74 44,98 10,94 -4,72 22,50 60,42 66,24"),
        "big head on two legs": (0.35, "14,98 30,62 52,44 56,14 32,0 8,14 8,42 32,60 48,98"),
        "unfinished": (0.3, "58,8 32,0 10,12 20,34 46,54 52,82 26,100 4,86 10,66 32,50 42,40"),
        "pinched at the left": (
            0.25,
            "14,22 10,6 34,0 52,14 42,36 24,46 50,58 54,84 30,100 6,86 10,66 26,48",
        ),
    },
    9: {
        "straight stem": (3, "53,12 34,0 11,10 4,30 17,46 39,40 53,14! 51,50 45,100"),
        "bent stem": (2, "49,10 28,0 7,14 7,38 28,46 49,30 54,10 54,40 45,74 28,100"),
        "upright": (2, "51,8 30,0 11,14 7,34 22,46 41,36 53,10! 54,40 53,70 53,100"),
        "open head": (2, "64,4 41,0 15,10 4,28 15,40 36,34 49,20! 45,50 41,75 39,100"),
        "open and upright": (2, "53,2 30,3 7,18 6,38 24,42 43,28 49,22! 49,50 46,80 45,100"),
        "nearly closed arc and stem": (2, "42,8 22,2 4,20 6,40 24,46 44,32 54,4! 50,50 46,100"),
        "arc and stem": (1.6, "32,4 9,14 4,34 19,46 39,38 51,8! 49,50 45,100"),
        "open at the right": (1.6, "57,10 36,0 12,8 6,28 20,42 46,34 53,22! 50,56 42,84 30,100"),
        "hooked stem": (1.5, "51,14 32,0 9,12 7,36 28,46 49,32 54,12 54,45 49,80 30,100 7,94"),
        "leaning": (1.5, "54,6 30,2 7,16 6,40 24,48 45,36 56,6! 49,50 36,100"),
        "small head": (1.5, "49,12 32,0 15,6 7,22 19,34 38,26 49,6! 49,40 45,70 39,100"),
        "round head": (1.5, "49,20 41,2 21,2 4,20 6,42 24,52 45,40 53,16 49,50 39,80 30,100"),
        "like a q": (1.5, "47,6 22,3 6,20 15,38 38,34 49,16 49,45 49,75 53,100"),
        "closed head": (1.5, "49,26 43,5 21,0 4,18 11,42 34,42 49,24 49,55 46,80 43,100"),
        "pointed head": (1.4, "43,7 17,13 4,35 17,45 49,20! 46,60 42,100"),
        "flat arc and stem": (1.3, "36,10 12,20 0,38 18,48 46,34 56,0! 50,50 42,100"),
        "like an s": (1.1, "60,6 36,0 14,9 10,28 28,38 52,26! 50,52 42,80 24,100"),
        "stem above the head": (1, "45,18 34,2 13,6 2,26 11,44 32,38 45,16 49,4! 41,50 34,100"),
        "like a g": (1, "30,44 7,36 7,12 30,0 53,12 51,34 30,46 43,40 47,66 41,100"),
        "flat head": (1, "58,14 39,0 15,6 2,26 13,40 36,34 58,16! 43,48 26,80 17,100"),
        "kicking foot": (1, "56,6 34,0 11,14 7,36 26,42 49,28 51,20 43,60 36,90 43,100"),
        "large head": (0.9, "49,14 28,0 6,22 6,58 26,74 47,50 53,12! 52,56 58,100"),
        "sweeping stem": (0.8, "54,10 36,0 15,8 9,26 21,36 41,30 54,10 51,40 41,70 21,98 2,100"),
        "two strokes": (0.8, "39,6 17,4 4,22 9,42 30,44 47,26 49,4 | 49,0 49,50 45,100"),
        "hooked far back": (0.6, "51,10 28,0 7,14 9,36 30,44 49,30 53,12 56,50 47,88 22,100 4,86"),
        "crossing the stem": (0.4, "62,36 30,42 6,34 6,12 30,0 50,10 50,40 42,70 36,100"),
        "like an a": (0.4, "62,20 40,2 6,16 0,48 24,68 52,48 60,14! 66,60 82,100"),
        "curled foot": (
            0.35,
            "54,10 28,0 6,14 8,38 30,44 52,28 55,12 55,60 42,97 16,100 8,90 22,80",
        ),
    },
}

POINTS = 128  # places along the pen's path at which ink is put down
BOX = 20  # MNIST fits the ink into a box of 20x20 pixels ...
SIDE = 28  # ... and centres it in an image of 28x28
CHUNK = 500  # images made at a time: bounds the memory

# How much writers differ: standard deviations, lengths in units of the digit's height.
POINT_JITTER = 0.030  # of every control point
WAVES = 0.030  # height of the smooth elastic waves that bend the digit
WOBBLE = 0.3, 1.4  # factor of these two: the neatest hand and the most careless
STROKE_SHIFT, STROKE_SCALE = 0.03, 0.08  # of every stroke, where a digit has several
END_LENGTH = 0.04  # strokes end early or late
MIDDLE, UPPER_HALF = 0.06, 0.08  # height of the middle; size of the upper half
TAPER, BEND = 0.36, 0.06  # one end wider than the other; ends to one side, middle to the other
WIDTH = 0.24  # of the logarithm of the aspect ratio
SLANT, MEAN_SLANT = 0.21, 0.14  # to the right
ROTATION = 0.11  # radians
PEN_RADIUS, PEN_SPREAD = 1.26, 0.28  # pixels of the final image; spread of its logarithm
MIN_RADIUS, MAX_RADIUS = 0.5, 2.7  # pixels
PRESSURE = 0.16  # relative change of the radius along the path
ROUGHNESS = 0.12  # pixels by which paper and pen fray the edge

_UNITS = 64  # drawing happens in 64ths of a pixel, see _draw


def generate(
    n: int, rng: np.random.Generator, *, labels: ArrayLike | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Write `n` digits and prepare them as MNIST's were.

    Parameters
    ----------
    n : how many images; 0 is allowed.
    rng : the source of randomness, `numpy.random.default_rng(seed)`.
    labels : the `n` digits to write, each 0 to 9; drawn evenly at random by default.

    Returns
    -------
    images : uint8 (n, 28, 28), white ink (255) on black (0).
    labels : uint8 (n,).

    Raises
    ------
    TypeError : `rng` is not a Generator, or `n` or `labels` are not whole numbers.
    ValueError : `n` is negative, or `labels` are not `n` digits.
    """
    _check_generator(rng)
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"expected n as a whole number of images, received {n!r}; pass an int")
    if n < 0:
        raise ValueError(f"expected n >= 0 images, received {n}; ask for 0 or more")
    digits = _checked_labels(n, labels) if labels is not None else rng.integers(0, 10, n)
    images = np.zeros((n, SIDE, SIDE), dtype=np.uint8)
    for start in range(0, n, CHUNK):
        chunk = slice(start, start + CHUNK)
        style = _choose_styles(digits[chunk], rng)
        x, y = _pen_paths(style, rng)
        radius = _pen_radii(len(style), rng)
        x, y = _fit_to_box(x, y, radius, rng)
        images[chunk] = _centre_by_mass(_draw(x, y, radius, rng))
    return images, digits.astype(np.uint8)


def strokes(digit: int, rng: np.random.Generator) -> list[tuple[Floats, Floats]]:
    """Write one digit and return the pen's path, to be drawn at any size on any paper.

    Returns one pair a stroke, in the order written: the points (m, 2) as (x, y), and the pen's
    radius (m,) at each of them.  The unit is the height of the digit, ink included: the ink's
    left edge is at x = 0, its top at y = 0 and its foot at y = 1.

    Raises TypeError or ValueError if `digit` is not 0 to 9 or `rng` is not a Generator.
    """
    _check_generator(rng)
    style = _choose_styles(_checked_labels(1, [digit]), rng)
    x, y = _pen_paths(style, rng)
    radius = _pen_radii(1, rng) / BOX
    height = np.ptp(y) / (1 - 2 * radius.max())  # so that path and pen together are 1 high
    x, y, radius = x[0] / height, y[0] / height, radius[0]
    points = np.stack([x - np.min(x - radius), y - np.min(y - radius)], axis=1)
    lifts = np.flatnonzero(np.diff(_compiled_styles().stroke[style[0]])) + 1
    return list(zip(np.split(points, lifts), np.split(radius, lifts), strict=True))


def _check_generator(rng: object) -> None:
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"expected rng as a numpy.random.Generator, received {type(rng).__name__}; "
            "pass numpy.random.default_rng(seed)"
        )


def _checked_labels(n: int, labels: ArrayLike) -> Integers:
    digits = np.asarray(labels)
    if digits.shape != (n,):
        raise ValueError(
            f"expected one label for each of the {n} images, shape ({n},), received shape "
            f"{digits.shape}; pass a flat list of {n} digits"
        )
    if n and not np.issubdtype(digits.dtype, np.integer):
        raise TypeError(
            f"expected labels as whole numbers, received dtype {digits.dtype}; "
            "convert them with .astype(int)"
        )
    if n and (digits.min() < 0 or digits.max() >= len(STYLES)):
        raise ValueError(
            f"expected labels from 0 to 9, received {digits.min()} to {digits.max()}; "
            "ask for single digits"
        )
    return digits.astype(np.intp)


# --- The tables, prepared for arithmetic -------------------------------------------------------


class _Styles(NamedTuple):
    """All S styles as arrays: at most K control points each, POINTS points along the path."""

    first: Integers  # (11,)  styles first[d] to first[d + 1] - 1 write digit d
    cumulative: Floats  # (S,)  cumulative probability within the digit
    control: Floats  # (S, K, 2)  control points, in heights, the middle of the digit at (0, 0)
    neighbour: Integers  # (S, K)  of a stroke's end the point before it, else the point itself
    own_stroke: Integers  # (S, K)  which stroke a control point belongs to
    centre: Floats  # (S, K, 2)  middle of that stroke
    several: Floats  # (S,)  1 where a style has several strokes, else 0
    knots: Integers  # (S, POINTS, 4)  the control points that a point of the path depends on ...
    weights: Floats  # (S, POINTS, 4)  ... and how much on each
    stroke: Integers  # (S, POINTS)  which stroke a point of the path belongs to


@cache
def _compiled_styles() -> _Styles:
    """Turn `STYLES` into arrays, once, when the first digit is written."""
    entries = [(digit, *entry) for digit in range(10) for entry in STYLES[digit].values()]
    written = [[_parse(stroke) for stroke in drawing.split("|")] for _, _, drawing in entries]
    count, most = len(entries), max(sum(len(s[0]) for s in strokes) for strokes in written)
    styles = _Styles(
        first=np.searchsorted([digit for digit, _, _ in entries], np.arange(11)),
        cumulative=np.zeros(count),
        control=np.zeros((count, most, 2)),
        neighbour=np.tile(np.arange(most), (count, 1)),
        own_stroke=np.zeros((count, most), dtype=np.intp),
        centre=np.zeros((count, most, 2)),
        several=np.array([float(len(strokes) > 1) for strokes in written]),
        knots=np.zeros((count, POINTS, 4), dtype=np.intp),
        weights=np.zeros((count, POINTS, 4)),
        stroke=np.zeros((count, POINTS), dtype=np.intp),
    )
    for digit in range(10):
        share = np.cumsum([commonness for commonness, _ in STYLES[digit].values()])
        styles.cumulative[styles.first[digit] : styles.first[digit + 1]] = share / share[-1]
    for s, strokes in enumerate(written):
        begin = path_begin = 0
        for number, (points, corner) in enumerate(strokes):
            end, path_end = begin + len(points), path_begin + _share_of_path(strokes, number)
            knots, weights = _spline(corner, path_end - path_begin)
            styles.control[s, begin:end] = points
            styles.neighbour[s, [begin, end - 1]] = begin + 1, end - 2
            styles.own_stroke[s, begin:end] = number
            styles.centre[s, begin:end] = (points.min(axis=0) + points.max(axis=0)) / 2
            styles.knots[s, path_begin:path_end] = begin + knots
            styles.weights[s, path_begin:path_end] = weights
            styles.stroke[s, path_begin:path_end] = number
            begin, path_begin = end, path_end
    return styles


def _parse(stroke: str) -> tuple[Floats, list[bool]]:
    """Read ``"0,6 60,3! 22,100"``: points (k, 2) around the digit's middle, and the corners."""
    words = stroke.split()
    points = np.array([[float(number) for number in w.rstrip("!").split(",")] for w in words])
    return points / 100 - (0.3, 0.5), [word.endswith("!") for word in words]


def _share_of_path(strokes: list[tuple[Floats, list[bool]]], number: int) -> int:
    """How many of the POINTS points one stroke gets: in proportion to its length."""
    lengths = [np.sqrt((np.diff(points, axis=0) ** 2).sum(axis=1)).sum() for points, _ in strokes]
    ends = np.rint(POINTS * np.cumsum(lengths) / np.sum(lengths)).astype(int)
    return int(np.diff(ends, prepend=0)[number])


def _spline(corner: list[bool], m: int) -> tuple[Integers, Floats]:
    """Catmull-Rom spline through k control points at m places: knots and weights, each (m, 4).

    Between points b and c, with neighbours a and d, the curve at 0 <= f <= 1 is
    ((-f + 2f² - f³) a + (2 - 5f² + 3f³) b + (f + 4f² - 3f³) c + (-f² + f³) d) / 2
    (Catmull and Rom, 1974).  At an end or a sharp corner the neighbour beyond does not exist;
    the mirror image 2b - c stands in for it.
    """
    k = len(corner)
    place = np.linspace(0, k - 1, m)
    segment = np.minimum(place.astype(np.intp), k - 2)
    f = place - segment
    ff, fff = f * f, f * f * f
    a, b = -f + 2 * ff - fff, 2 - 5 * ff + 3 * fff
    c, d = f + 4 * ff - 3 * fff, -ff + fff
    sharp = np.array([True, *corner[1:-1], True])
    left, right = sharp[segment], sharp[segment + 1]
    a, b, c = np.where(left, 0, a), np.where(left, b + 2 * a, b), np.where(left, c - a, c)
    d, c, b = np.where(right, 0, d), np.where(right, c + 2 * d, c), np.where(right, b - d, b)
    knots = np.clip(segment[:, None] + np.arange(-1, 3), 0, k - 1)
    return knots, np.stack([a, b, c, d], axis=1) / 2


# --- Randomness and curves that are the same on every machine -----------------------------------


def _bell(rng: np.random.Generator, deviation: float, *shape: int) -> Floats:
    """Random numbers with mean 0 and the given standard deviation, nearly normal, bounded.

    The sum of four uniform numbers (Irwin-Hall): unlike the normal distribution's, its values
    need no logarithm; unlike its tails, no digit is ever bent out of recognition.  The uniform
    numbers are multiples of 2^-24, so that their sum is exact.
    """
    uniform = rng.random((4, *shape), dtype=np.float32).astype(np.float64)
    return (uniform.sum(axis=0) - 2) * (deviation * sqrt(3))


def _between(rng: np.random.Generator, low: float, high: float, *shape: int) -> Floats:
    """Uniform random numbers from `low` to `high`."""
    return low + (high - low) * rng.random(shape)


def _stretch(x: Floats) -> Floats:
    """A stand-in for exp(x): 1 at 0, slope 1, and _stretch(-x) = 1 / _stretch(x)."""
    return (2 + x) / (2 - x)


def _wave(x: Floats) -> Floats:
    """A stand-in for sin(2 pi x): two parabolas a period, smooth, from -1 to 1."""
    x = x - np.floor(x) - 0.5
    return 8 * x * (2 * np.abs(x) - 1)


# --- Writing ------------------------------------------------------------------------------------


def _choose_styles(digits: Integers, rng: np.random.Generator) -> Integers:
    """Pick a style (n,) for each digit (n,), the common ones more often."""
    styles = _compiled_styles()
    style = styles.first[digits]
    pick = rng.random(len(digits))
    # At most a few tens of styles a digit: step on until the cumulative share exceeds the pick.
    while (behind := styles.cumulative[style] <= pick).any():
        style = style + behind
    return style


def _pen_paths(style: Integers, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Write each style (n,) in a hand of its own: x and y, (n, POINTS), of the pen's path."""
    styles, n = _compiled_styles(), len(style)
    control = styles.control[style]  # (n, K, 2)
    k = control.shape[1]
    wobble = _between(rng, *WOBBLE, n, 1)
    # Neighbouring points go astray together: a hand that is off comes back slowly.
    astray = _bell(rng, POINT_JITTER, n, k + 2, 2)
    astray = (astray[:, :-2] + 2 * astray[:, 1:-1] + astray[:, 2:]) / sqrt(6)
    control = control + wobble[:, :, None] * astray

    # Where a digit has several strokes, each is placed and sized on its own.
    most = int(styles.own_stroke.max()) + 1
    pen, own = np.arange(n)[:, None], styles.own_stroke[style]
    several = styles.several[style][:, None, None]
    sizes = (_bell(rng, STROKE_SCALE, n, most, 2) * several)[pen, own]
    shifts = (_bell(rng, STROKE_SHIFT, n, most, 2) * several)[pen, own]
    control = control + sizes * (control - styles.centre[style]) + shifts

    # Ends move along the stroke; for all other points the direction is zero.
    direction = control - control[pen, styles.neighbour[style]]
    length = np.sqrt(direction[..., 0] ** 2 + direction[..., 1] ** 2)[..., None]
    control = control + direction * (_bell(rng, END_LENGTH, n, k, 1) / np.maximum(length, 0.05))

    knots, weights = styles.knots[style], styles.weights[style]  # (n, POINTS, 4)
    x, y = (
        sum(weights[..., j] * control[pen, knots[..., j], axis] for j in range(4))
        for axis in (0, 1)
    )
    return _warp(x, y, wobble, rng)


def _warp(x: Floats, y: Floats, wobble: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Deform whole digits, x and y (n, POINTS) around (0, 0), as different hands would."""
    n = len(x)
    arch = 1 - 4 * y**2  # 1 in the middle of the digit, 0 at its top and foot
    y = y + arch * (_bell(rng, MIDDLE, n, 1) + y * _bell(rng, UPPER_HALF, n, 1))
    x = x * (1 + _bell(rng, TAPER, n, 1) * y) + _bell(rng, BEND, n, 1) * (0.5 - arch)
    for _ in range(2):  # elastic waves, little more than one across the digit
        fast, slow = _between(rng, 0.3, 1.2, n, 1), _between(rng, -1, 1, n, 1)
        phase_x, phase_y = rng.random((n, 1)), rng.random((n, 1))
        shift_x = wobble * _bell(rng, WAVES, n, 1) * _wave(slow * x + fast * y + phase_x)
        shift_y = wobble * _bell(rng, WAVES, n, 1) * _wave(fast * x + slow * y + phase_y)
        x, y = x + shift_x, y + shift_y
    x = x * _stretch(_bell(rng, WIDTH, n, 1) + 0.07)
    x = x - y * (_bell(rng, SLANT, n, 1) + MEAN_SLANT)
    half = _bell(rng, ROTATION / 2, n, 1)  # the tangent of half the angle gives sine and cosine
    sine, cosine = 2 * half / (1 + half**2), (1 - half**2) / (1 + half**2)
    return x * cosine - y * sine, x * sine + y * cosine


def _pen_radii(n: int, rng: np.random.Generator) -> Floats:
    """The pen's radius (n, POINTS) in pixels: a pen for each digit, pressed unevenly."""
    pen = PEN_RADIUS * _stretch(_bell(rng, PEN_SPREAD, n, 1))
    along = np.arange(POINTS) / POINTS
    swing = _wave(along * _between(rng, 0.5, 3, n, 1) + rng.random((n, 1)))
    return np.clip(pen * (1 + _bell(rng, PRESSURE, n, 1) * swing), MIN_RADIUS, MAX_RADIUS)


# --- MNIST's preparation (LeCun, Bottou, Bengio, Haffner 1998, section III.A) ------------------


def _fit_to_box(
    x: Floats, y: Floats, radius: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Scale paths so that the ink's longer side fills the box; (0, 0) is the box's middle."""
    width, height = np.ptp(x, axis=1), np.ptp(y, axis=1)
    pen = 2 * radius.max(axis=1)
    scale = (BOX - pen) / np.maximum(np.maximum(width, height), 0.1)
    x = (x - (x.min(axis=1) + width / 2)[:, None]) * scale[:, None]
    y = (y - (y.min(axis=1) + height / 2)[:, None]) * scale[:, None]
    # The shorter side lies anywhere on the pixel grid.
    margin_x, margin_y = BOX - pen - width * scale, BOX - pen - height * scale
    x = x + (np.minimum(margin_x, 1) * _between(rng, -0.5, 0.5, len(x)))[:, None]
    y = y + (np.minimum(margin_y, 1) * _between(rng, -0.5, 0.5, len(y)))[:, None]
    return x, y


def _draw(x: Floats, y: Floats, radius: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Put down ink along paths in a box: grey levels (n, 20, 20), the darkest ink 255.

    The ink is the union of discs along the path.  A pixel centre g is |g - p| - r away from the
    disc at p with radius r, and the nearest disc is found without a square root, as the minimum
    over the path of

        |g - p|² - r²  =  |g|²  +  (-2 px, -2 py, |p|² - r²) · (gx, gy, 1)

    which is one matrix product for many images.  Everything in it is a whole number of 64ths of
    a pixel and below 2^24, so float32 holds it exactly and the order of summation is immaterial.
    """
    n = len(x)
    box = (np.arange(BOX) * _UNITS - (BOX - 1) * _UNITS // 2).astype(np.float32)
    grid_y, grid_x = (axis.ravel() for axis in np.meshgrid(box, box, indexing="ij"))
    grid = np.stack([grid_x, grid_y, np.ones_like(grid_x)])  # (3, 400)
    whole_x, whole_y, whole_r = (np.rint(a * _UNITS).astype(np.float32) for a in (x, y, radius))
    power = whole_x * whole_x + whole_y * whole_y - whole_r * whole_r
    discs = np.stack([-2 * whole_x, -2 * whole_y, power], axis=2)  # (n, POINTS, 3)
    nearest = np.empty((n, BOX * BOX), dtype=np.float32)
    step = 16  # few enough for (step, POINTS, 400) to stay in the processor's cache
    for i in range(0, n, step):
        np.min(discs[i : i + step] @ grid, axis=1, out=nearest[i : i + step])
    nearest += grid_x * grid_x + grid_y * grid_y

    mean_r = (np.rint(whole_r.sum(axis=1, keepdims=True) / POINTS)).astype(np.float32)
    distance = np.sqrt(np.maximum(nearest + mean_r * mean_r, 0)) - mean_r
    distance = (distance / _UNITS).reshape(n, BOX, BOX) + _frayed_edge(n, rng)
    softness = _between(rng, 0.8, 1.6, n, 1, 1).astype(np.float32)  # width of the grey edge
    ink = np.clip(0.5 - distance / softness, 0, 1)
    ink = ink * ink * (3 - 2 * ink)  # the S-curve of a scanner's lens rather than a ramp
    ink /= np.maximum(ink.max(axis=(1, 2), keepdims=True), 0.1)
    return np.rint(255 * ink).astype(np.uint8)


def _frayed_edge(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smoothed noise (n, 20, 20), in pixels, by which the edge of the ink is off."""
    noise = rng.random((n, BOX + 1, BOX + 1), dtype=np.float32) - np.float32(0.5)
    smooth = noise[:, 1:, 1:] + noise[:, :-1, 1:] + noise[:, 1:, :-1] + noise[:, :-1, :-1]
    amount = _between(rng, 0, 3 * ROUGHNESS, n, 1, 1)
    return smooth * amount.astype(np.float32)


def _centre_by_mass(boxes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Move boxes (n, 20, 20) by whole pixels so that the centre of mass is mid-image."""
    weight = boxes.astype(np.int64)
    mass = weight.sum(axis=(1, 2))
    room = SIDE - BOX
    # The centre of mass, rounded by whole-number arithmetic, goes to pixel 14.
    moment_y = (weight.sum(axis=2) * np.arange(BOX)).sum(axis=1)
    moment_x = (weight.sum(axis=1) * np.arange(BOX)).sum(axis=1)
    top = np.clip(SIDE // 2 - (2 * moment_y + mass) // (2 * mass), 0, room)
    left = np.clip(SIDE // 2 - (2 * moment_x + mass) // (2 * mass), 0, room)
    images = np.zeros((len(boxes), SIDE, SIDE), dtype=np.uint8)
    for t in range(room + 1):
        for s in range(room + 1):
            here = (top == t) & (left == s)
            images[here, t : t + BOX, s : s + BOX] = boxes[here]
    return images
