"""The dashboard: it shows a run from its events, live, followed or played back, and steers it."""
