"""``python -m stylenorm`` is the command ``stylenorm``."""

import sys

from stylenorm.cli import main

if __name__ == "__main__":
    sys.exit(main())
