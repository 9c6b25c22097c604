"""The five tabs, a page each."""
