"""``python -m mmsync``."""

from mmsync.cli.main import main

if __name__ == "__main__":
    main()
