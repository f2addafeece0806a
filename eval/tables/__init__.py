"""Tables of a run as text, Markdown, LaTeX and CSV."""
