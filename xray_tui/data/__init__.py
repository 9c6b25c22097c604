"""From a folder of radiographs to batches: splits, decoding, pixel cache, augmentation, demo."""
