"""The entry point that Streamlit runs. Pages are functions of a store; this file only joins them."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb
import streamlit as st

from influence_assets.project import Project, find_root
from influence_assets.viewer import conversations, features, joint, live, overview, query, steerability, training
from influence_assets.viewer.serve import LIVE
from influence_assets.viewer.store import Store
from influence_assets.viewer.text import markdown
from resources.errors import InfluenceError

LOOK_EVERY_S = 3.0

Reads = TypeVar("Reads", Store, Project)

# No icons: a page's icon is also the tab's, which Streamlit fetches from a font server.
PAGES = (
    ("Overview", "", overview.show),
    ("Conversations", "conversations", conversations.show),
    ("Training", "training", training.show),
    ("Steerability", "steerability", steerability.show),
    ("Features", "features", features.show),
    ("Joint", "joint", joint.show),
    ("SQL", "sql", query.show),
)


def main() -> None:
    st.set_page_config(page_title="influence-assets", layout="wide")
    st.html(Path(__file__).with_name("style.css"))
    store = _store()
    pages = [
        st.Page(partial(_shown, page, store), title=title, url_path=path or None, default=not path)
        for title, path, page in PAGES
    ]
    if os.environ.get(LIVE):
        pages.append(st.Page(partial(_shown, live.show, Project(find_root())), title="Live", url_path="live"))
    current = st.navigation(pages)
    with st.sidebar:
        follow = st.toggle("Follow runs", value=True, help="Look every few seconds whether new rows have landed.")
    if follow:
        _follow(store, store.stamp())
    current.run()


@st.cache_resource(show_spinner=False)
def _store() -> Store:
    # Whenever this file has run Streamlit looks for garbage everywhere: a tenth of a second for what was imported.
    gc.freeze()
    return Store(Project(find_root()).warehouse)


def _shown(page: Callable[[Reads], None], reads: Reads) -> None:
    try:
        page(reads)
    except (InfluenceError, duckdb.Error) as error:
        st.error(f"This could not be shown: {markdown(error)}", icon=":material/error:")


@st.fragment(run_every=LOOK_EVERY_S)
def _follow(store: Store, shown: str) -> None:
    """Draw the page again as soon as another catalogue is published than the one it shows."""
    if store.stamp() != shown:
        st.rerun()


main()
