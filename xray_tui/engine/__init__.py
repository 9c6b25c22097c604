"""The recipe: freeze, train the head, unfreeze, fine-tune, evaluate; as a stream of events."""
