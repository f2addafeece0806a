"""`earmark probe`: measure one codec with signals whose content is known.

`signals` makes the test signals. `coder` runs the codec, here or in a process of its own. `session` sends the signals
and keeps what came back. `delays`, `transmission`, `repeatability`, `formats` and `rates` measure it; `findings` and
`coding_findings` judge it and advise; `page` prints it.
"""
