"""What ``xray-tui --help`` says: printed as it stands, so that it is there at once."""

FRONT_PAGE = """\
Usage: xray-tui [DATA] [OPTIONS]
       xray-tui COMMAND ...

Fine-tune a pretrained image classifier on chest radiographs, in a terminal.
Without a command: the dashboard, perhaps on a folder that holds train/, test/
and perhaps val/. It takes the options of `xray-tui train --help`, and --ascii.

Learn
  demo        all of it on made-up radiographs, offline, in under 2 minutes
  train       the recipe without a screen; end with the published table
  resume      go on exactly where an interrupted run stopped
  lr-find     which learning rates to try
  sweep       search settings: many runs, judged on validation
Look
  watch       the dashboard on a run of another process, live or finished
  board       TensorBoard on all runs
  runs        list, compare, export and tidy the runs that were kept
  evaluate    a run's metrics on test or elsewhere, with 95 % intervals
  predict     what a run says of images, with Grad-CAM overlays
  export      a run's network as one file for other programs, with a model card
Set up
  data        check a folder of radiographs, or fetch published ones
  config      every setting, and where its value comes from
  doctor      what works here, and what to mend
  completion  let the shell complete commands, options and values

Examples:
  xray-tui demo                 all of it, on made-up radiographs
  xray-tui ~/chest_xray         the dashboard on your data
  xray-tui train ~/chest_xray   the same run without a screen
  xray-tui watch                the dashboard on the newest run

Each command has --help. Every option can also stand in the environment
(XRAY_TUI_BATCH_SIZE=64) or in a TOML file: --config FILE, else your own one
(xray-tui config path). The command line wins over the environment, that over
the file, the file over the preset. --version prints the version; --debug,
anywhere, shows the traceback of an error, and after a run where its time went.
"""
