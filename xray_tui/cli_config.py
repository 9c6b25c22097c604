"""``xray-tui config``: what can be set, and what is."""

from cyclopts import App

from xray_tui import settings_file
from xray_tui.cli_options import NO_OPTIONS, RunOptions

config_app = App(
    name="config",
    help="Every setting there is; those that a run here would have, and where they come from.",
    help_epilogue="""Examples:
  xray-tui config show --preset tuned
  xray-tui config show > my.toml && xray-tui train ~/chest_xray --config my.toml
  $EDITOR "$(xray-tui config path)"
""",
)


@config_app.command(
    name="reference",
    help_epilogue="""Examples:
  xray-tui config reference > settings.md
""",
)
def config_reference() -> int:
    """Print every setting as a table in Markdown: default, what it may be, option, variable."""
    from xray_tui.reference import settings_reference  # late: for this alone

    print(settings_reference(), end="")
    return 0


@config_app.command(name="show")
def config_show(*, options: RunOptions = NO_OPTIONS) -> int:
    """Print the settings that a run would have, as a config file; comments say where a value comes from."""
    from xray_tui.reference import commented  # late: for this alone

    print(commented(options.trace()), end="")
    return 0


@config_app.command(
    name="path",
    help_epilogue="""Examples:
  $EDITOR "$(xray-tui config path)"

XRAY_TUI_CONFIG_DIR sets another folder.
""",
)
def config_path() -> int:
    """Print where your own config file is, or would be."""
    print(settings_file.user_file())
    return 0
