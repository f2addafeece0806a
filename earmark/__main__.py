"""The program `earmark`, also as `python -m earmark`.

It is a module of its own, since an interrupt may come while the command line itself is imported.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; a Ctrl-C before it has started ends like a later one: one line, and status 130."""
    try:
        from earmark.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("earmark: interrupted\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
