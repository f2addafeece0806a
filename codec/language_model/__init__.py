"""The language model over codes and its entropy coders (paper, section 3.3)."""
