"""Says of a dubbed film which seconds were dubbed, which stayed as filmed, and why. Ours."""

from dataclasses import dataclass

from stillspeak.runtime.cast import Appearance, Cast

DUBBED, NOT_SEEN, ENDED = "", "hidden or not seen from the front", "silent, for the speech has ended"


@dataclass
class Stretch:
    """Holds a part of the new film in which one person is dubbed, or stays as filmed for one reason.

    Attributes:
        begin, end: in seconds.
        why: the reason why it stays as filmed; empty if it is dubbed.
    """

    begin: float
    end: float
    why: str


class Report:
    """Collects what becomes of each frame.

    Attributes:
        seconds: the length of the new film.
        people: the stretches of each person who speaks, by the person's number.
    """

    def __init__(self, cast: Cast, numbers: list[int]) -> None:
        self.seconds = 0.0
        self.people: dict[int, list[Stretch]] = {number: [] for number in numbers}
        self._cast = cast

    def see(self, number: int, seconds: float, index: int, one: Appearance | None, share: float, speaks: bool) -> None:
        """Notes of a frame how much of person ``number`` is dubbed in it."""
        if share > 0:
            why = DUBBED
        elif not speaks:
            why = ENDED
        else:
            why = NOT_SEEN if one is None else one.reason(index) or NOT_SEEN
        stretches = self.people[number]
        self.seconds = seconds + self._cast.interval
        if stretches and stretches[-1].why == why:
            stretches[-1].end = self.seconds
        else:
            if stretches:
                stretches[-1].end = seconds
            stretches.append(Stretch(seconds, self.seconds, why))

    def finish(self) -> None:
        """Joins stretches that are hardly a frame long to the one before."""
        for number, stretches in self.people.items():
            joined = list[Stretch]()
            for one in stretches:
                if joined and (one.why == joined[-1].why or one.end - one.begin < 1.5 * self._cast.interval):
                    joined[-1].end = one.end
                else:
                    joined.append(one)
            self.people[number] = joined

    def sentences(self) -> list[str]:
        """Returns for each stretch that stays as filmed, while the speech lasts, a sentence; and how much was dubbed."""
        said = []
        for number, stretches in self.people.items():
            dubbed = sum(one.end - one.begin for one in stretches if not one.why)
            said.append(f"Person {number}: {dubbed:.1f} of {self.seconds:.1f} seconds dubbed.")
            said += [
                f"Person {number} stays as filmed from {one.begin:.1f} to {one.end:.1f} s: the face is {one.why}."
                for one in stretches
                if one.why
            ]
        return said

    def as_json(self) -> dict[str, object]:
        """Returns the report as JSON holds it."""
        people = {
            str(number): [
                {"from": round(one.begin, 3), "to": round(one.end, 3), "dubbed": not one.why}
                | ({"why": one.why} if one.why else {})
                for one in stretches
            ]
            for number, stretches in self.people.items()
        }
        return {"seconds": round(self.seconds, 3), "people": people}
