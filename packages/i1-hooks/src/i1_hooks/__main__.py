"""`python -m i1_hooks` is the `i1` command."""

import sys

from i1_hooks.cli import main

if __name__ == "__main__":
    sys.exit(main())
