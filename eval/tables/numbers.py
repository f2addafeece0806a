"""Numbers as text: bit rates, real-time factors, differences, probabilities."""

from __future__ import annotations

import math

DASH = "–"  # stands for a number that does not exist


def kbps_text(kbps: float) -> str:
    """A measured bit rate with two decimals; a dash for NaN."""
    return f"{kbps:.2f}" if math.isfinite(kbps) else DASH


def nominal_text(kbps: float) -> str:
    """A nominal bit rate as the user wrote it: 6, 24.4; a dash for NaN."""
    return f"{kbps:g}" if math.isfinite(kbps) else DASH


def factor_text(factor: float) -> str:
    """A real-time factor with up to three significant digits, whole from 100 on: 8.51, 85.1, 851."""
    if not math.isfinite(factor):
        return DASH
    return f"{factor:,.0f}" if factor >= 100 else f"{factor:.3g}"


def signed(value: float, decimals: int) -> str:
    """A number with its sign, "+0.25" or "−0.25"; a dash for NaN."""
    return f"{value:+.{decimals}f}".replace("-", "−") if math.isfinite(value) else DASH


def probability(p: float) -> str:
    """A p-value, "0.031" or "<0.001"; a dash for NaN."""
    if math.isnan(p):
        return DASH
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def p_statement(p: float) -> str:
    """A p-value in a sentence: "p = 0.031" or "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {probability(p)}"
