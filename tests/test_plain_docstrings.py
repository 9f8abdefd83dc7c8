"""A reference by a last name means the nearest thing of that name, or it is refused."""

from plain_docstrings import candidates, described_attributes

NAMES = [
    "p.a.Env", "p.a.Env.step", "p.a.Env.reset", "p.a.reward", "p.b.reward", "p.b.Env", "p.b.Env.step", "p.c.x.only",
    "p.c.y.sample", "p.d.sample", "p.c.x.Thing", "p.c.x.Thing.load", "p.c.y.load", "p.c.x.Thing.alone",
]  # fmt: skip


def test_a_name_that_stands_once_is_found_from_anywhere():
    assert candidates("only", NAMES, "p.a") == candidates("only", NAMES) == ["p.c.x.only"]
    assert candidates("p.c.x.only", NAMES, "p.a") == ["p.c.x.only"]


def test_the_nearest_of_several_is_meant():
    assert candidates("reward", NAMES, "p.a") == ["p.a.reward"]
    assert candidates("reward", NAMES, "p.b", "Env") == ["p.b.reward"]
    assert candidates("step", NAMES, "p.b", "Env") == ["p.b.Env.step"]
    assert candidates("Env.step", NAMES, "p.a") == ["p.a.Env.step"]
    assert candidates("sample", NAMES, "p.c.x") == ["p.c.y.sample"]  # of the same package


def test_a_choice_is_left_open_and_a_gap_is_none():
    assert candidates("reward", NAMES, "p.c.x") == ["p.a.reward", "p.b.reward"]
    assert candidates("reward", NAMES) == ["p.a.reward", "p.b.reward"]
    assert candidates("nothing", NAMES, "p.a") == []
    assert candidates("tep", NAMES, "p.a") == []  # a part of a name is no name


def test_a_package_offers_what_its_modules_define():
    assert candidates("p.c.only", NAMES, "p.a") == candidates("c.only", NAMES, "p.a") == ["p.c.x.only"]
    assert candidates("p.a.only", NAMES, "p.a") == []  # ... and nothing of another package


def test_a_bare_name_is_no_member_of_a_class_elsewhere():
    assert candidates("load", NAMES, "p.c") == candidates("load", NAMES) == ["p.c.y.load"]
    assert candidates("load", NAMES, "p.c.x", "Thing") == ["p.c.x.Thing.load"]
    assert candidates("Thing.load", NAMES, "p.c") == ["p.c.x.Thing.load"]
    assert candidates("alone", NAMES, "p.a") == ["p.c.x.Thing.alone"]


def test_attributes_that_a_class_describes():
    docstring = """A thing.

    Parameters
    ----------
    size : int
        Of it.

    Attributes
    ----------
    low, high : float
        Its ends: the first is lower.
    name : str

    Raises
    ------
    ValueError
        Never.
    """
    assert described_attributes(docstring) == {"low", "high", "name"}
    assert described_attributes("A thing.") == described_attributes(None) == set()
