"""xray-tui: fine-tune an image classifier on chest radiographs, in front of your eyes."""

__version__ = "0.1.0"
