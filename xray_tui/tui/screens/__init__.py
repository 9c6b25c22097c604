"""What opens over the dashboard: a question, a notice, the help."""
