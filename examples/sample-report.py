"""Writes sample-report.pdf, the report that `medledger demo` plays its story with.

Everything in it is invented. Run it once, with reportlab 5.1.0 in a throw-away environment:

    python3 -m venv env && env/bin/pip install reportlab==5.1.0 && env/bin/python sample-report.py

The same version writes the same bytes: no time and no random id goes into the file.
"""

from pathlib import Path

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

INK, GREY, BLUE, PALE, ALERT = map(
    HexColor, ("#1b1f24", "#5b6570", "#1f4e79", "#eef3f8", "#a61c1c")
)
LEFT, RIGHT = 20 * mm, A4[0] - 20 * mm

SPECIMEN = [
    ("Patient", "Sample Patient, number 8", "Specimen", "Venous blood, EDTA and serum"),
    ("Date of birth", "1 January 1970", "Taken", "29 April 2024, 08:15"),
    ("Ordered by", "Ward 3, internal medicine", "Reported", "30 April 2024, 10:41"),
]

# Test, result, unit, reference range, flag.
RESULTS = [
    ("Blood count", [
        ("Haemoglobin", "13.9", "g/dL", "12.0 - 15.5", ""),
        ("Haematocrit", "41", "%", "36 - 46", ""),
        ("White cells", "6.8", "10^9/L", "4.0 - 10.0", ""),
        ("Platelets", "254", "10^9/L", "150 - 400", ""),
    ]),
    ("Metabolism", [
        ("Glucose, fasting", "5.2", "mmol/L", "3.9 - 5.6", ""),
        ("HbA1c", "36", "mmol/mol", "20 - 42", ""),
        ("Cholesterol, LDL", "3.6", "mmol/L", "below 3.0", "high"),
        ("Triglycerides", "1.1", "mmol/L", "below 1.7", ""),
    ]),
    ("Kidney and liver", [
        ("Creatinine", "71", "umol/L", "45 - 84", ""),
        ("eGFR", "> 90", "mL/min", "above 90", ""),
        ("ALT", "22", "U/L", "below 35", ""),
    ]),
    ("Thyroid and iron", [
        ("TSH", "2.1", "mU/L", "0.4 - 4.0", ""),
        ("Ferritin", "11", "ug/L", "15 - 150", "low"),
    ]),
]

COMMENT = (
    "Ferritin is below the reference range with a normal blood count: iron stores are low",
    "without anaemia. LDL cholesterol is slightly raised. A control in three months is advised.",
)


def main() -> None:
    path = Path(__file__).with_name("sample-report.pdf")
    page = Canvas(str(path), pagesize=A4, invariant=1, pageCompression=1)
    page.setTitle("Laboratory report (sample, invented data)")
    page.setAuthor("medledger")
    page.setSubject("Sample for the medledger demo")

    def text(x, y, words, font="Helvetica", size=9.5, ink=INK):
        page.setFont(font, size)
        page.setFillColor(ink)
        page.drawString(x, y, words)

    top = A4[1] - 25 * mm
    text(LEFT, top, "General Hospital", "Helvetica-Bold", 17, BLUE)
    text(LEFT, top - 6 * mm, "Laboratory medicine", size=11, ink=GREY)
    page.setFont("Helvetica-Bold", 9.5)
    page.setFillColor(ALERT)
    page.drawRightString(RIGHT, top, "SAMPLE: every value is invented")
    page.setStrokeColor(BLUE)
    page.line(LEFT, top - 10 * mm, RIGHT, top - 10 * mm)

    y = top - 19 * mm
    text(LEFT, y, "Laboratory report", "Helvetica-Bold", 13)
    y -= 8 * mm
    for left_name, left, right_name, right in SPECIMEN:
        text(LEFT, y, left_name, ink=GREY)
        text(LEFT + 28 * mm, y, left)
        text(LEFT + 92 * mm, y, right_name, ink=GREY)
        text(LEFT + 114 * mm, y, right)
        y -= 5.5 * mm

    columns = [LEFT + offset * mm for offset in (2, 62, 88, 114, 150)]
    y -= 5 * mm
    for x, name in zip(columns, ("Test", "Result", "Unit", "Reference", "Flag")):
        text(x, y, name, "Helvetica-Bold", 9, GREY)
    y -= 3 * mm
    for group, rows in RESULTS:
        y -= 6 * mm
        page.setFillColor(PALE)
        page.rect(LEFT, y - 1.8 * mm, RIGHT - LEFT, 6 * mm, stroke=0, fill=1)
        text(columns[0], y, group, "Helvetica-Bold", ink=BLUE)
        for row in rows:
            y -= 6 * mm
            ink = ALERT if row[4] else INK
            for x, value in zip(columns, row):
                text(x, y, value, "Helvetica-Bold" if row[4] else "Helvetica", ink=ink)

    y -= 13 * mm
    text(LEFT, y, "Comment", "Helvetica-Bold", 11)
    for line in COMMENT:
        y -= 5.5 * mm
        text(LEFT, y, line)

    foot = 22 * mm
    page.setStrokeColor(GREY)
    page.line(LEFT, foot + 5 * mm, RIGHT, foot + 5 * mm)
    text(LEFT, foot, "Made for the medledger demo. No person, hospital or measurement stands behind it.",
         size=8.5, ink=GREY)
    page.showPage()
    page.save()


if __name__ == "__main__":
    main()
