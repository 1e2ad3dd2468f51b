"""Claims about real clients: each is a function of a model's name, and each is made for every model."""

SHOWN_CHARS_MAX = 1500


def judged(claims, models):
    """Makes all of them; the exit code, and a line for each."""
    failed = 0
    for claim in claims:
        for model in models:
            try:
                claim(model)
                print(f"ok      {claim.__name__} {model}", flush=True)
            except Exception as why:
                failed += 1
                said = str(why)[:SHOWN_CHARS_MAX]
                print(f"FAILED  {claim.__name__} {model}: {type(why).__name__}: {said}", flush=True)
    return 1 if failed else 0
