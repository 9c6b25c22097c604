"""What a person asks of a run of several processes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from xray_tui.engine.controls import Controls, Stop, UnfreezeNow, Used

if TYPE_CHECKING:
    from xray_tui.engine.distributed import Ranks

_Obeyed = tuple[list[float], Stop | UnfreezeNow | None]
"""The learning rates that were set, and the request that ends a pass."""
_NOTHING_YET: _Obeyed | None = None


class SharedControls(Controls):
    """Asked of rank 0, obeyed by all ranks between the same two batches."""

    def __init__(self, ranks: "Ranks") -> None:
        super().__init__()
        self._ranks = ranks

    def detach(self, why: str = "a person") -> None:
        """No process of its own could bring the other ranks along: the run is left to a resume."""
        self.stop(why)

    def obey(
        self,
        used: Used,
        *,
        can_unfreeze: bool,
        set_rate: Callable[[float], None] | None = None,
        early: bool = False,
    ) -> None:
        ranks = self._ranks
        if ranks.apart:
            if ranks.main:
                super().obey(used, can_unfreeze=can_unfreeze, set_rate=set_rate, early=early)
            return
        if not ranks.any(self.asked):
            return
        self._take_stops()
        if ranks.main:
            self._lead(used, can_unfreeze, set_rate, early)
            return
        while (told := ranks.tell(_NOTHING_YET)) is None:
            self._take_stops()
        rates, request = told
        for rate in rates:
            if set_rate is not None:
                set_rate(rate)
        if request is not None:
            raise request

    def _lead(
        self, used: Used, can_unfreeze: bool, set_rate: Callable[[float], None] | None, early: bool
    ) -> None:
        rates: list[float] = []
        request: Stop | UnfreezeNow | None = None

        def set_and_note(value: float) -> None:
            if set_rate is not None:
                set_rate(value)
                rates.append(value)

        try:
            noted = set_and_note if set_rate else None
            super().obey(used, can_unfreeze=can_unfreeze, set_rate=noted, early=early)
        except (Stop, UnfreezeNow) as asked:
            request = asked
        obeyed: _Obeyed | None = rates, request
        self._ranks.tell(obeyed)
        if request is not None:
            raise request

    def _wait(self) -> None:
        super()._wait()
        if not self._ranks.apart:  # else the others wait for more than this
            self._ranks.tell(_NOTHING_YET)  # a pause may outlast their patience
            self._take_stops()

    def _take_stops(self) -> None:
        """A signal may reach the processes of one host only: that ends the run of all."""
        for why in self._ranks.stops(self._stop):
            if why and not self._stop:
                self.stop(why)
