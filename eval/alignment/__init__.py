"""Alignment of decoded audio with its source: delay, polarity, gain, drift, jumps, and what is missing.

Entry point: `earmark.eval.alignment.aligner.align`.
"""
