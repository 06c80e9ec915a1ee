"""Numbers that rows of one kind get here, for those that they had where they come from."""

from __future__ import annotations

from django.db import connection


class Numbers(dict[int, int]):
    """A number that the file does not explain, such as that of a deleted key, gets one that nobody else will have."""

    def __init__(self, table: str) -> None:
        super().__init__()
        self.table = table

    def __missing__(self, number: int) -> int:
        (self[number],) = self.next(self.table, 1)
        return self[number]

    @staticmethod
    def next(table: str, count: int) -> list[int]:
        """Taken from the table's sequence."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
                [f"public.{table}", count],
            )
            return [number for (number,) in cursor.fetchall()]
