"""Names of symbols where the text goes round in circles."""

from tests.audits.engine.harness import found

POLICY = 'version = 1\n[[forbidden]]\nsymbol = "uuid.uuid4"\n'


def test_an_alias_of_itself_in_a_loop_ends() -> None:
    source = """
        import uuid
        make = uuid
        while make:
            print(make.uuid4)
            make = make.parent
        """
    assert ("forbidden-reference", "a.py:5", "uuid.uuid4", "import_time possible") in found(
        {"a.py": source}, "forbidden-reference", policy=POLICY
    )
