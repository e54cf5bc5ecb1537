"""``python -m rmverify``."""

import sys

from rmverify.cli import main

sys.exit(main())
