"""The one place where HTML is written. Every text is escaped as it enters; only elements made here are markup."""

from __future__ import annotations

from markupsafe import Markup, escape

from influence_assets.viewer.text import pieces, visible


def element(
    name: str, *children: str | Markup | None, css: str = "", style: str = "", title: str = "", direction: str = ""
) -> Markup:
    """One HTML element. Children that are plain strings are text; `None` is left out; `title` may be anybody's text."""
    given = {"class": css, "style": style, "title": visible(title), "dir": direction}
    attributes = Markup("").join(Markup(' {}="{}"').format(key, value) for key, value in given.items() if value)
    inside = Markup("").join(text(child) for child in children if child is not None)
    return Markup("<{}{}>{}</{}>").format(name, attributes, inside, name)


def text(value: str | Markup) -> Markup:
    """Somebody's text: escaped, and what cannot be seen set apart as its code, so that no one can fake it."""
    if isinstance(value, Markup):
        return value
    return Markup("").join(
        escape(part) if seen else Markup('<span class="unseen">{}</span>').format(part) for seen, part in pieces(value)
    )
