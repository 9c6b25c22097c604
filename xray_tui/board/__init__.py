"""TensorBoard beside a run: the mirror that writes its event files, and the server that shows them."""
