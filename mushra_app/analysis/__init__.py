"""Statistics of a listening test: intervals, significance, reliability, flags, agreement with metrics."""
