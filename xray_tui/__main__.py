"""``python -m xray_tui`` is ``xray-tui``."""

from xray_tui.entry import main

if __name__ == "__main__":
    main()
