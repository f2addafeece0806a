"""Every codec under comparison, ours included, behind one small interface."""
