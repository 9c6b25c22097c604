"""What ``xray-tui doctor`` looks at: whether the program works here, and what would mend it."""
