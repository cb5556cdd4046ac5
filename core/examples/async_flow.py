"""An async flow: its tasks wait at the same time, in one thread."""

import asyncio

from headrace import flow, task


@task
async def answer(question: str, seconds: float) -> str:
    await asyncio.sleep(seconds)
    return f"{question}: 42"


@flow(log_prints=True)
async def ask(questions: list[str]) -> list[str]:
    """Ask every question at once; the answers come in the order of the questions."""
    answers = await asyncio.gather(*(answer(question, 0.1 / number) for number, question in enumerate(questions, 1)))
    print("; ".join(answers))
    return answers


if __name__ == "__main__":
    asyncio.run(ask(["life", "the universe", "everything"]))
