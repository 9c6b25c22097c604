"""What a run looks like: each pane shows one side of it."""
