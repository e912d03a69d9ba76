"""``python -m stillspeak`` runs the command line."""

import sys

from stillspeak.cli import main

if __name__ == "__main__":
    sys.exit(main())
