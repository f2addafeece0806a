"""Drawings of models as SVG, from their actual modules (EnCodec paper, Figures 1 and 2)."""
