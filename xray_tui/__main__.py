"""``python -m xray_tui`` is ``xray-tui``."""

from xray_tui.cli import main

if __name__ == "__main__":
    main()
