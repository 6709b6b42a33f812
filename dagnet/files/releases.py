"""Which properties of blocks came with which release of MatConvNet: loading refuses one that the release does not know.

A property that a release lacks has one value built in there; where the network has another, that release cannot run it.
Source    networks that beta18, beta20, beta23, beta25 and master wrote, and beta24's +dagnn/Loss.m
"""

from typing import Any

from . import fields, writable

RELEASES = ("beta18", "beta20", "beta23", "beta24", "beta25", "master")
ANY = object()  # of a property that changes no numbers
CAME = (  # the release, the type (None: whichever has it), the property, what is built in before
    ("beta20", "dagnn.BatchNorm", "epsilon", 1e-3),
    ("beta23", "dagnn.BatchNorm", "opts", ANY),
    ("beta23", None, "dilate", [1, 1]),
    ("beta24", None, "ignoreAverage", False),
    ("master", None, "normalise", False),
    ("master", "dagnn.PDist", "noRoot", False),
    ("master", "dagnn.PDist", "epsilon", 1e-6),
)


def check(release: str | None) -> None:
    """Raises ValueError for a release that is not known; None stands for no particular one."""
    if release not in (None, *RELEASES):
        raise ValueError(f"release: it is {release!r}; {', '.join(RELEASES)} are right")


def known_to(release: str, matlab_type: str, properties: dict[str, Any], where: str) -> dict[str, Any]:
    """The properties that the release knows. Raises ValueError where another one is not what is built in there."""
    known = dict(properties)
    for since, of_type, name, built_in in CAME:
        later = RELEASES.index(release) < RELEASES.index(since)
        if later and name in known and of_type in (None, matlab_type):
            value = known.pop(name)
            if built_in is not ANY and not writable.same(value, fields.to_matlab(built_in)):
                raise ValueError(
                    f"{where}.{name}: {release} does not know it and works with {built_in}; {since} is right"
                )
    return known
