"""The Data tab."""

from xray_tui.tui.tabs.tab import Tab


class DataTab(Tab):
    """To be written."""
