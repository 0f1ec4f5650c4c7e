"""What the benches' reports share: figures as numbers of JSON, and tables in their place on a page. Pure."""


def rounded(value: float | None) -> float | None:
    """To a thousandth; None stays None."""
    return None if value is None else round(value, 3)


def between(page: str, begin: str, end: str, content: str) -> str:
    """The page with `content` between its lines `begin` and `end`. Raises ValueError if it has none."""
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"the page needs the lines {begin} and {end}, and the table goes between them")
    return f"{before}{begin}\n{content}{end}{after}"
