"""JSON in a text column, which every version of Earmark and every SQL client can read."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Dialect, String, TypeDecorator


class JsonText(TypeDecorator[Any]):
    """A JSON value, decoded on reading; None is SQL's NULL.

    The column stays a VARCHAR. SQLAlchemy's own JSON type would declare it as JSON, and PostgreSQL refuses to write
    JSON into the VARCHAR columns of existing databases.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Python value -> text."""
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Text -> Python value."""
        return None if value is None else json.loads(value)
