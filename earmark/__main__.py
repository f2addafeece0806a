"""`python -m earmark`, the same as the command `earmark`."""

from earmark.cli import main

if __name__ == "__main__":
    main()
