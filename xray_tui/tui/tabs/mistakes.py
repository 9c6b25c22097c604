"""The Mistakes tab."""

from xray_tui.tui.tabs.tab import Tab


class MistakesTab(Tab):
    """To be written."""
