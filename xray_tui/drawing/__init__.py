"""Drawing with characters: what the dashboard and the console have in common. Knows no toolkit."""
