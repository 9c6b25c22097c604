"""TensorBoard in a process that ends when whoever started it is gone, and that follows a live run whole.

:class:`xray_tui.board.server.Board` runs this file by its path and keeps the other end of its
standard input. That closes with its process, however that ends (SIGKILL too), on every system.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from absl import app
from tensorboard import default, main_lib, program
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import FlagsError, TBContext
from tensorboard.plugins.projector.metadata import PROJECTOR_FILENAME
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin

_App = Callable[[Any, Any], Iterable[bytes]]
"""Of WSGI."""


class LiveProjector(ProjectorPlugin):  # type: ignore[misc]  # tensorboard has no types
    """TensorBoard's projector looks for a run's points once, as the run appears. This one looks again when
    there are others: those of a live run come when a stage has ended.
    """

    def __init__(self, context: TBContext) -> None:
        super().__init__(context)
        self._context = context
        self._stamps = self._look()
        self._was_active = False

    def is_active(self) -> bool:
        self._forget_what_is_old()
        self._was_active = self._was_active or super().is_active()
        return self._was_active

    def get_plugin_apps(self) -> dict[str, _App]:
        def anew(answer: _App) -> _App:
            def answer_anew(environ: Any, start_response: Any) -> Iterable[bytes]:
                self._forget_what_is_old()
                return answer(environ, start_response)

            return answer_anew

        return {route: anew(answer) for route, answer in super().get_plugin_apps().items()}

    def _forget_what_is_old(self) -> None:
        if (found := self._look()) != self._stamps:
            super().__init__(self._context)
            self._stamps = found

    def _look(self) -> dict[str, int]:
        """When the points of each run that has some were written."""
        if not (self.data_provider and self.logdir):
            return {}
        stamps = {}
        for run in self.data_provider.list_runs(RequestContext(), experiment_id=""):
            try:
                written = Path(self.logdir, run.run_name, PROJECTOR_FILENAME).stat()
            except OSError:
                continue  # it has no points yet
            stamps[run.run_name] = written.st_mtime_ns
        return stamps


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)  # TensorBoard's own handler ends its data server with it


def _main() -> None:
    """As TensorBoard's own, but for the projector."""
    main_lib.global_init()
    plugins = [LiveProjector if plugin is ProjectorPlugin else plugin for plugin in default.get_plugins()]
    tensorboard = program.TensorBoard(plugins=plugins)
    try:
        app.run(tensorboard.main, flags_parser=tensorboard.configure)
    except FlagsError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _main()
