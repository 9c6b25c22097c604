"""The network: a pretrained body, a new head, and what is frozen of them."""
