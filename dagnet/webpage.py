"""What the HTML reports share: the frame of a page that stands alone, and its style. Nothing is fetched from elsewhere."""

import html
from collections.abc import Mapping

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; margin: 0 auto; padding: 1rem; max-width: 60rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #ddd; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e5e5e5; white-space: nowrap; }
th:first-child { text-align: left; }
.settings td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.settings th { font-weight: normal; color: #555; vertical-align: top; }
.note, small, figcaption { color: #666; font-size: .85rem; }
.note i { display: inline-block; width: 1.2rem; height: .25rem; vertical-align: middle; margin: 0 .2rem 0 .6rem; }
@media (max-width: 34rem) { th, td { padding: .25rem .35rem; font-size: .85rem; } }
pre { background: #f4f6fa; padding: .7rem; border-radius: .5rem; white-space: pre-wrap; overflow-wrap: anywhere; }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def page(title: str, body: str, style: str) -> str:
    """The page; `style` adds to what all pages share, the title is text, the body HTML."""
    return _PAGE.format(title=html.escape(title), style=STYLE + style.lstrip(), body=body)


def settings(rows: Mapping[str, object]) -> str:
    """A table of names and values."""
    lines = "".join(f"<tr><th>{html.escape(str(k))}</th><td>{html.escape(str(v))}</td></tr>" for k, v in rows.items())
    return f'<div class="wide"><table class="settings">{lines}</table></div>'
