"""TensorBoard in a process that ends when whoever started it is gone.

:class:`xray_tui.board.server.Board` runs this file by its path and keeps the other end of its
standard input. That closes with its process, however that ends (SIGKILL too), on every system.
"""

import os
import signal
import threading

from tensorboard.main import run_main


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)  # TensorBoard's own handler ends its data server with it


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    run_main()
