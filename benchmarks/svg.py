"""What every chart is made of: a white page, and text on it."""

from collections.abc import Iterable
from html import escape


def page(width: int, height: int, parts: Iterable[str]) -> str:
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">'
    return "\n".join([opening, f'<rect width="{width}" height="{height}" fill="white"/>', *parts, "</svg>"]) + "\n"


def words(x: float, y: float, text: str, *, size: int = 12, colour: str = "black", anchor: str = "start") -> str:
    """One line, whose baseline is at `y`."""
    return f'<text x="{x}" y="{y:.0f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{escape(text)}</text>'
