"""Fits a conditional and a binary logistic regression with L-BFGS, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Final

Vector = list[float]
_MEMORY: Final = 10


@dataclass(frozen=True)
class Choice:
    """Features of one question's candidates, the index of the right one, and the question's weight."""

    candidates: Sequence[Mapping[str, float]]
    right: int
    counts: float = 1.0


@dataclass(frozen=True)
class Case:
    """The gate's features of one question, the label (whether to show candidates), and the question's weight."""

    features: Mapping[str, float]
    show: bool
    counts: float = 1.0


def fit_ranker(
    choices: Sequence[Choice], penalty: float = 1.0, never_negative: Collection[str] = ()
) -> dict[str, float]:
    """Return weights by feature that maximize the probability of the right candidates (conditional logit).

    ``penalty`` is the L2 penalty. A feature of ``never_negative`` that gets a negative weight is left out with the
    weight 0, and the others are fitted again.
    """
    names = {name for choice in choices for each in choice.candidates for name in each}
    left_out: set[str] = set()
    while True:
        weights = _fit_choices(choices, sorted(names - left_out), penalty)
        negative = {name for name in never_negative if weights.get(name, 0.0) < 0}
        if not negative:
            return weights | dict.fromkeys(left_out, 0.0)
        left_out |= negative


def _fit_choices(choices: Sequence[Choice], names: Sequence[str], penalty: float) -> dict[str, float]:
    data = [
        ([[each[name] for name in names] for each in choice.candidates], choice.right, choice.counts)
        for choice in choices
        if len(choice.candidates) > 1
    ]

    def loss(w: Vector) -> tuple[float, Vector]:
        total = 0.5 * penalty * _dot(w, w)
        slope = [penalty * value for value in w]
        for rows, right, counts in data:
            scores = [_dot(row, w) for row in rows]
            top = max(scores)
            shares = [math.exp(score - top) for score in scores]
            norm = sum(shares)
            total += counts * (math.log(norm) + top - scores[right])
            for place, (row, share) in enumerate(zip(rows, shares, strict=True)):
                pull = counts * (share / norm - (place == right))
                if abs(pull) > 1e-6:
                    slope = [value + pull * feature for value, feature in zip(slope, row, strict=True)]
        return total, slope

    return dict(zip(names, _minimize(loss, len(names)), strict=True))


def fit_gate(cases: Sequence[Case], penalty: float = 1.0) -> dict[str, float]:
    """Return weights by feature of a logistic regression with the L2 penalty ``penalty``."""
    names = sorted({name for case in cases for name in case.features})
    data = [([case.features[name] for name in names], 1.0 if case.show else -1.0, case.counts) for case in cases]

    def loss(w: Vector) -> tuple[float, Vector]:
        total = 0.5 * penalty * _dot(w, w)
        slope = [penalty * value for value in w]
        for row, sign, counts in data:
            along = -sign * _dot(row, w)
            wrong = 1 / (1 + math.exp(-along)) if along >= 0 else math.exp(along) / (1 + math.exp(along))
            total += counts * (along + math.log1p(math.exp(-along)) if along > 0 else math.log1p(math.exp(along)))
            pull = -sign * counts * wrong
            if abs(pull) > 1e-7:
                slope = [value + pull * feature for value, feature in zip(slope, row, strict=True)]
        return total, slope

    return dict(zip(names, _minimize(loss, len(names)), strict=True))


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return float(sum(map(mul, left, right)))


def _minimize(loss: Callable[[Vector], tuple[float, Vector]], size: int, steps: int = 80) -> Vector:
    """L-BFGS with a backtracking line search (Nocedal and Wright, Numerical Optimization, algorithm 7.4)."""
    w = [0.0] * size
    value, slope = loss(w)
    moves: list[tuple[Vector, Vector, float]] = []
    for _ in range(steps):
        direction = _direction(slope, moves)
        downhill = _dot(direction, slope)
        step = 1.0 if moves else min(1.0, 1 / (sum(map(abs, slope)) or 1.0))
        while True:
            new = [here + step * way for here, way in zip(w, direction, strict=True)]
            new_value, new_slope = loss(new)
            if new_value <= value + 1e-4 * step * downhill or step < 1e-8:
                break
            step /= 2
        moved = [after - before for after, before in zip(new, w, strict=True)]
        turned = [after - before for after, before in zip(new_slope, slope, strict=True)]
        curve = _dot(moved, turned)
        done = abs(value - new_value) < 1e-4 * max(1.0, abs(new_value)) * 0.1
        if curve > 1e-10:
            moves = [*moves[-_MEMORY + 1 :], (moved, turned, 1 / curve)]
        w, value, slope = new, new_value, new_slope
        if done:
            break
    return w


def _direction(slope: Vector, moves: Sequence[tuple[Vector, Vector, float]]) -> Vector:
    way = [-value for value in slope]
    steps: list[float] = []
    for moved, turned, share in reversed(moves):
        along = share * _dot(moved, way)
        steps.append(along)
        way = [value - along * other for value, other in zip(way, turned, strict=True)]
    if moves:
        moved, turned, _share = moves[-1]
        scale = _dot(moved, turned) / _dot(turned, turned)
        way = [scale * value for value in way]
    for (moved, turned, share), along in zip(moves, reversed(steps), strict=True):
        back = share * _dot(turned, way)
        way = [value + (along - back) * other for value, other in zip(way, moved, strict=True)]
    return way
