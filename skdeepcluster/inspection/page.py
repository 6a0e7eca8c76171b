"""Pages of HTML: a title, a table and a figure."""

from base64 import b64encode
from html import escape
from io import BytesIO
from pathlib import Path
from string import Template

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$title</title>
<style>
.clusters {font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: auto; padding: 0 1em}
.clusters table {border-collapse: collapse; display: block; overflow-x: auto}
.clusters th, .clusters td {padding: 6px 16px 6px 0; border-bottom: 1px solid #8884}
.clusters th, .clusters td {text-align: left; vertical-align: top; white-space: pre-line}
.clusters img {display: block; max-width: 100%; margin: 16px auto}
</style>
</head>
<body>
<div class="clusters">
<h2>$title</h2>
<table>
$table
</table>
<img alt="Map of the samples" src="data:image/png;base64,$image">
</div>
</body>
</html>
""")


def write_page(path, title, table, figure):
    """Write a page to a path, or return it for None.

    The ``table`` is a list of rows of texts, and matplotlib made the ``figure``.
    """
    file = BytesIO()
    figure.savefig(file, format="png", dpi=120)
    rows = [_write_row("th", table[0])]
    rows += [_write_row("td", row) for row in table[1:]]
    page = PAGE.substitute(
        title=escape(title),
        table="\n".join(rows),
        image=b64encode(file.getvalue()).decode(),
    )
    if path is None:
        return page
    Path(path).write_text(page, encoding="utf-8")
    return None


def _write_row(tag, texts):
    """Return a row of a table."""
    cells = [f"<{tag}>{escape(text)}</{tag}>" for text in texts]
    return f"<tr>{''.join(cells)}</tr>"
