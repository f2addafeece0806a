"""From a run or another tool to a study, and the checks before it opens."""
