"""The Settings tab."""

from xray_tui.tui.tabs.tab import Tab


class SettingsTab(Tab):
    """To be written."""
