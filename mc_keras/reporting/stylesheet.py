"""The style sheet of the HTML report: light and dark, narrow and wide, screen and paper."""

from collections.abc import Mapping

from mc_keras.plotting.style import MethodStyle

_LIGHT = """
  color-scheme: light;
  --page: #ffffff; --ink: #1c2128; --soft: #57606a; --faint: #8b949e; --grid: #e3e7ec;
  --card: #f6f8fa; --link: #0a58a6; --cffffff: #ffffff;"""
_DARK = """
  color-scheme: dark;
  --page: #14171c; --ink: #e6e9ee; --soft: #a4adb8; --faint: #7d8793; --grid: #2b313a;
  --card: #1b2027; --link: #79b8ff; --cffffff: #14171c;"""

_RULES = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", "DejaVu Sans",
    sans-serif; }
main { max-width: 1220px; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
a { color: var(--link); text-underline-offset: .15em; }
h1 { font-size: 2.1rem; line-height: 1.2; margin: .2rem 0 .8rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 3rem 0 .3rem; }
p { margin: .4rem 0; max-width: 46rem; }
.kicker, .note, figcaption { color: var(--soft); }
.kicker { margin: 0; font-size: .95rem; }
.lead { font-size: 1.15rem; }
.note, figcaption { font-size: .9rem; }
code, pre { font: .88em/1.5 ui-monospace, "Cascadia Mono", "DejaVu Sans Mono", monospace; }
pre { background: var(--card); padding: .7rem .9rem; border-radius: 6px; overflow-x: auto;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin-top: 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
table.wide { width: 100%; }
th { font-weight: 500; text-align: right; color: var(--soft); padding: .1rem .55rem;
  white-space: nowrap; }
thead td { border: 0; }
thead th.group:not([colspan="1"]) { text-align: center; }
thead tr:last-child th:first-child { text-align: left; padding-left: 0; }
thead tr:last-child th { border-bottom: 1px solid var(--faint); padding-bottom: .4rem; }
td { text-align: right; padding: .32rem .55rem; border-bottom: 1px solid var(--grid); }
.start { padding-left: 1.3rem; }
tbody th { text-align: left; color: var(--ink); border-bottom: 1px solid var(--grid);
  padding-left: 0; }
td.best { font-weight: 700; }
tr.chosen th { font-weight: 700; }
table.plain th { vertical-align: top; padding: .32rem 1.2rem .32rem 0; color: var(--soft); }
table.plain td { text-align: left; overflow-wrap: anywhere; }
.key { display: inline-block; width: 1.9em; height: .7em; margin-right: .55em; }
.figures { display: grid; gap: 1.6rem 2rem; margin-top: 1.1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 33rem), 1fr)); }
figure { margin: 0; break-inside: avoid; }
figure svg { display: block; width: 100%; height: auto; overflow: visible; }
.narrow { max-width: 46rem; margin-top: 1.1rem; }
figcaption { margin-top: .3rem; max-width: 46rem; }
dl.methods { display: grid; grid-template-columns: max-content 1fr; gap: .7rem 1.6rem;
  margin: 1rem 0 0; }
dl.methods dt { font-weight: 600; white-space: nowrap; }
dl.methods dd { margin: 0; max-width: 50rem; }
[data-method] { transition: opacity .12s; }
@media (max-width: 40rem) { dl.methods { grid-template-columns: 1fr; gap: .1rem; }
  dl.methods dd { margin-bottom: .8rem; } }
@media print {
  @page { margin: 14mm; }
  body { font-size: 10.5pt; }
  main { padding: 0; max-width: none; }
  h2 { break-after: avoid; margin-top: 1.6rem; }
  .figures { grid-template-columns: 1fr; }
  .figures figure { width: 75%; }
  .screen { display: none; }
  a { color: inherit; text-decoration: none; }
  tr { break-inside: avoid; }
  .scroll { overflow: visible; }
  table { font-size: 8.5pt; }
  th, td { padding-left: .25rem; padding-right: .25rem; }
}
"""


def stylesheet(styles: Mapping[str, MethodStyle]) -> str:
    """Style sheet of a page on the given methods.

    Pointing at an element with `data-key="<method>"` fades what belongs to the other methods.

    Args:
        styles: Method to its style.
    """
    colors = {style.color for style in styles.values()}
    light = _LIGHT + "".join(f" --c{color[1:]}: {color};" for color in sorted(colors))
    dark = _DARK + "".join(f" --c{color[1:]}: {_on_dark(color)};" for color in sorted(colors))
    fading = "".join(
        f"main:has([data-key={name}]:hover) [data-method]:not([data-method={name}])"
        " { opacity: .12; }\n"
        for name in map(_css_string, styles)
    )
    return (
        f":root {{{light}\n}}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{{dark}\n}} }}\n"
        f"{_RULES}{fading}"
    )


def _on_dark(color: str) -> str:
    """The colour, mixed with white until it is bright enough for a dark page."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    while 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2] < 0.45:
        channels = [value + 0.08 * (1 - value) for value in channels]
    return "#" + "".join(f"{round(255 * value):02x}" for value in channels)


def _css_string(text: str) -> str:
    safe = "".join(c if c.isalnum() or c in " +-_.," else f"\\{ord(c):x} " for c in text)
    return f'"{safe}"'
