"""A statement of savings as a PDF to print: one or two pages, dark on white, the chart as vectors.

What people and models are called is set as it is, never read as markup; letters that the fonts lack become “?”.
"""

from __future__ import annotations

import datetime as dt
import io
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from django.utils.translation import gettext as _
from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, TableStyle
from reportlab.platypus import Table as Grid

from analytics.statements import Chart, Row, Statement, Table
from tenants.writing import day, day_of_month, moment

MODELS, DAYS = 12, 31
_INK, _DIM, _LINE = HexColor("#14192b"), HexColor("#525c75"), HexColor("#c9d0e0")
_PAID, _SAVED = HexColor("#8c98b8"), HexColor("#0a8f6a")
# The page between its margins, less what a frame keeps free at its sides.
_EDGE = 18 * mm + 6
_WIDE = A4[0] - 2 * _EDGE
_CHART_HIGH = 110
_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9, leading=13, textColor=_INK)
_SMALL = ParagraphStyle("small", parent=_BODY, fontSize=8, leading=11, textColor=_DIM)
_TITLE = ParagraphStyle("title", parent=_BODY, fontName="Helvetica-Bold", fontSize=18, leading=23)
_HEAD = ParagraphStyle("head", parent=_BODY, fontName="Helvetica-Bold", fontSize=10.5, spaceBefore=12, spaceAfter=4)
_FIGURE = ParagraphStyle("figure", parent=_TITLE, fontSize=15, leading=19, alignment=TA_CENTER)
_UNDER = ParagraphStyle("under", parent=_SMALL, alignment=TA_CENTER)


class Report(NamedTuple):
    """`forecast` is a sentence, empty where there is none."""

    workspace: str
    told: Statement
    models: Table
    days: Table
    forecast: str
    made_at: dt.datetime


def pdf(report: Report) -> bytes:
    file = io.BytesIO()
    title = _("Savings of %(workspace)s") % {"workspace": report.workspace}
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=16 * mm,
        bottomMargin=18 * mm,
        title=_plain(title),
        author="NexusGateway",
    )

    def foot(canvas: Canvas, page: Any) -> None:
        canvas.setFont("Helvetica", 7.5)
        canvas.setFillColor(_DIM)
        made = moment(report.made_at)
        canvas.drawString(_EDGE, 10 * mm, _("NexusGateway · generated %(at)s") % {"at": made})
        canvas.drawRightString(A4[0] - _EDGE, 10 * mm, str(page.page))

    document.build(_content(report, title), onFirstPage=foot, onLaterPages=foot)
    return file.getvalue()


def _content(report: Report, title: str) -> list[Flowable]:
    told, span = report.told, report.told.span
    period = f"{day(span.first_day)} – {day(span.last_day)} (UTC)"
    if span.is_open:
        period += ", " + _("up to when this was generated")
    parts: list[Flowable] = [
        Paragraph(_text(title), _TITLE),
        Paragraph(_text(period), _BODY),
        Spacer(1, 10),
        _equation(told),
        Spacer(1, 6),
        Paragraph(_text(_summary(told)), _BODY),
    ]
    if report.forecast:
        parts.append(Paragraph(_text(report.forecast), _BODY))
    parts += [
        Paragraph(_text(_("Saved and paid, by day")), _HEAD),
        _drawing(told.chart),
        Paragraph(_text(_("By model")), _HEAD),
        _grid(report.models, report.models.rows),
    ]
    shown = report.days.rows[:DAYS]
    heading = _("By day") if len(shown) == len(report.days.rows) else _("By day, the latest %(days)s") % {"days": DAYS}
    return [*parts, Paragraph(_text(heading), _HEAD), _grid(report.days, shown), KeepTogether(_how())]


def _equation(told: Statement) -> Grid:
    terms = [
        (told.equation.would, _("would have cost")),
        ("−", ""),
        (told.equation.cost, _("did cost")),
        ("=", ""),
        (told.equation.saved, _("saved")),
    ]
    figures = [Paragraph(_text(figure), _FIGURE) for figure, _under in terms]
    under = [Paragraph(_text(text), _UNDER) for _figure, text in terms]
    exact = ["$", *told.equation.exact]
    digits = [Paragraph(_text(text), _UNDER) for text in (exact[1], "", exact[2], "", exact[3])]
    side, sign = (_WIDE - 44) / 3, 22
    grid = Grid([figures, under, digits], colWidths=[side, sign, side, sign, side])
    box = [("BOX", (0, 0), (-1, -1), 0.8, _LINE), ("TOPPADDING", (0, 1), (-1, -1), 0)]
    grid.setStyle(TableStyle([*box, ("TEXTCOLOR", (4, 0), (4, 0), _SAVED), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")]))
    return grid


def _summary(told: Statement) -> str:
    text = _(
        "%(share)s of what it would have cost was saved. %(requests)s requests, %(hits)s of them answered from the"
        " cache (hit rate %(rate)s). Compared with the time before: %(delta)s."
    ) % {
        "share": told.equation.share,
        "requests": told.requests,
        "hits": told.hits,
        "rate": told.hit_rate,
        "delta": told.delta.text,
    }
    if told.unpriced:
        text += " " + _("In no sum: requests of models without a known price (%(number)s).") % {"number": told.unpriced}
    return text


def _drawing(chart: Chart) -> Drawing:
    """The same bars as on the page, of which 100 is the tallest."""
    left, low, wide = 52, 14, _WIDE - 52
    drawing = Drawing(_WIDE, _CHART_HIGH + low + 22)
    for x, color, name in ((_WIDE - 90, _SAVED, _("saved")), (_WIDE - 36, _PAID, _("paid"))):
        drawing.add(_rect(x, _CHART_HIGH + low + 12, 7, 7, color))
        drawing.add(String(x + 11, _CHART_HIGH + low + 12.5, name, **_label()))
    for share, text in ((0, "$0"), (0.5, chart.half), (1, chart.top)):
        y = low + share * _CHART_HIGH
        drawing.add(Line(left, y, _WIDE, y, strokeColor=_LINE, strokeWidth=0.5))
        drawing.add(String(left - 5, y - 2.5, text, textAnchor="end", **_label()))
    unit = wide / chart.width
    for bar in chart.bars:
        x, paid, saved = left + unit * float(bar.x), float(bar.cost_height), float(bar.saved_height)
        scale = _CHART_HIGH / 100
        drawing.add(_rect(x, low, unit * 8, paid * scale, _PAID))
        drawing.add(_rect(x, low + paid * scale, unit * 8, saved * scale, _SAVED))
    ends = [("start", left), ("middle", left + wide / 2), ("end", _WIDE)]
    days = chart.days if len(chart.days) == 3 else [chart.days[0], None, chart.days[-1]]
    for at, (anchor, x) in zip(days, ends, strict=True):
        if at is not None:
            drawing.add(String(x, 2, day_of_month(at), textAnchor=anchor, **_label()))
    return drawing


def _label() -> dict[str, Any]:
    return {"fontName": "Helvetica", "fontSize": 7.5, "fillColor": _DIM}


def _rect(x: float, y: float, width: float, height: float, color: Color) -> Rect:
    return Rect(x, y, width, height, fillColor=color, strokeColor=None, strokeWidth=0)


def _grid(table: Table, rows: list[Row]) -> Grid:
    head = [str(table.name), _("Requests"), _("Hits"), _("Would have cost"), _("Did cost"), _("Saved")]
    cells = [head, *(_cells(row) for row in rows)]
    if table.whole is not None:
        cells.append(_cells(table.whole))
    name, narrow, wide = _WIDE - 2 * 56 - 3 * 82, 56, 82
    grid = Grid(cells, colWidths=[name, narrow, narrow, wide, wide, wide], repeatRows=1)
    grid.setStyle(
        TableStyle(
            [
                ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 8),
                ("FONT", (0, 1), (-1, -1), "Helvetica", 8),
                ("FONT", (0, -1), (-1, -1), "Helvetica-Bold", 8),
                ("TEXTCOLOR", (0, 0), (-1, -1), _INK),
                ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
                ("LINEBELOW", (0, 0), (-1, -2), 0.4, _LINE),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
                ("LEFTPADDING", (0, 0), (0, -1), 0),
                ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
            ]
        )
    )
    return grid


def _cells(row: Row) -> list[str]:
    """Plain texts, which the table sets as they are."""
    name = _plain(row.name)
    shown = name if len(name) <= 34 else f"{name[:33]}…"
    return [shown, row.requests, row.hits_text, row.would, row.cost, row.saved]


def _how() -> list[Flowable]:
    return [Paragraph(_text(_("How it is computed")), _HEAD), *(Paragraph(_text(text), _SMALL) for text in how())]


def how() -> list[str]:
    """The same on the page and in the report."""
    return [
        _(
            "Saved is what the answers from the cache would have cost: their tokens at their provider's price on the"
            " day of the hit. A hit itself costs no tokens."
        ),
        _(
            "Did cost is what providers charge for the answers that they gave: the tokens they reported, at their price"
            " of that day. Both together are what it would have cost without the cache."
        ),
        _(
            "The plan's own price is in no figure. An answer of a model without a known price adds nothing to any sum,"
            " and is counted as such."
        ),
        _(
            "Each amount is rounded once, to 1e-10 USD, when its request is recorded. The sums by hour, the usage"
            " records and the ledger are written in one transaction, and compared to the last digit every few minutes."
            " Days are those of UTC, as in the ledger."
        ),
    ]


def _plain(text: str) -> str:
    """What the standard fonts have letters for; they have no minus, but a dash of its length."""
    return text.replace("−", "–").encode("cp1252", "replace").decode("cp1252")


def _text(text: str) -> str:
    return escape(_plain(text))
