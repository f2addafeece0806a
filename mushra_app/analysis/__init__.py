"""What a listening test says beyond its means: intervals, significance, reliability, agreement with metrics."""
