"""Who is in an invented directory as large as a country's? Entry number n, always the same for the same seed.

Names, places and jobs are as common as in life: one in 250 is a Martin, one in twenty works in Paris, and most names
are rare. An entry follows from its number alone, so that a million of them need no memory, and the first ten thousand
of a million are the ten thousand: the same question can be asked of both.
"""

from __future__ import annotations

import argparse
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, product
from pathlib import Path
from random import Random

from tests.kit.frenchpeople import FAMILIES, GIVEN, HEADER, PLACES, finess, rpps

FAMILIES_MAX = 60_000
"""Family names in all; France has a million, most of them of a few people."""
TOWNS_MAX = 3_000
HOSPITALS = 1_500
PARIS_SHARE = 0.05
CITIES_SHARE = 0.35
"""Of everybody: who works in one of the large cities."""
TEAM_SHARE = 0.08
HOSPITAL_SHARE = 0.3
SECOND_ROLE_SHARE = 0.12
"""Entries of somebody who stands under another address too."""
PEOPLE_OF_A_PRACTICE = 3
STRUCTURES_REMEMBERED_MAX = 20_000
JOBS = (
    (0.26, "60", "Infirmier", "", ""), (0.22, "10", "Médecin", "SM26", "Qualifié en Médecine Générale"),
    (0.12, "70", "Masseur-Kinésithérapeute", "", ""), (0.09, "21", "Pharmacien", "", ""),
    (0.06, "40", "Chirurgien-Dentiste", "", ""), (0.03, "50", "Sage-Femme", "", ""),
    (0.03, "10", "Médecin", "SM04", "Cardiologie et maladies vasculaires"),
    (0.03, "10", "Médecin", "SM42", "Psychiatrie"),
    (0.03, "10", "Médecin", "SM02", "Anesthésie-réanimation"), (0.02, "10", "Médecin", "SM40", "Pédiatrie"),
    (0.02, "10", "Médecin", "SM44", "Radio-diagnostic"), (0.02, "10", "Médecin", "SM20", "Gynécologie-obstétrique"),
    (0.02, "10", "Médecin", "SM03", "Biologie médicale"), (0.02, "10", "Médecin", "SM38", "Ophtalmologie"),
    (0.01, "10", "Médecin", "SM15", "Dermatologie et vénéréologie"), (0.01, "10", "Médecin", "SM37", "Oncologie"),
    (0.01, "10", "Médecin", "SM32", "Neurologie"),
)  # fmt: skip
_SERVICES = (
    "Secrétariat",
    "Cardiologie",
    "Urgences",
    "Laboratoire",
    "Imagerie",
    "Maternité",
    "Gériatrie",
    "Admissions",
)
_HOSPITALS = ("Centre hospitalier de", "Hôpital de", "Clinique de", "Hôpital local de", "Centre de rééducation de")
_PRACTICES = ("Cabinet médical", "Maison de santé", "Pharmacie", "Laboratoire", "Cabinet du docteur", "Centre de santé")
_BEGINNINGS = [
    "Bar",
    "Ber",
    "Bon",
    "Bou",
    "Cha",
    "Cour",
    "Des",
    "Du",
    "Fau",
    "Ga",
    "Gre",
    "La",
    "Le",
    "Mar",
    "Mon",
    "Per",
    "Pe",
    "Rou",
    "Sau",
    "Ta",
    "Val",
    "Ver",
    "Vi",
    "Gui",
]
_MIDDLES = [
    "a",
    "ba",
    "cha",
    "de",
    "fi",
    "gna",
    "la",
    "li",
    "mou",
    "na",
    "pi",
    "que",
    "ri",
    "ro",
    "so",
    "ta",
    "ti",
    "vi",
    "lan",
    "ber",
    "don",
    "ger",
    "nau",
    "val",
    "mar",
]
_ENDS = [
    "ard",
    "aud",
    "eau",
    "et",
    "ier",
    "in",
    "on",
    "ot",
    "oux",
    "y",
    "as",
    "el",
    "ois",
    "ert",
    "and",
    "ec",
    "ac",
    "ic",
    "ouin",
    "eul",
    "iot",
    "esse",
    "ault",
]
_MORE_GIVEN = (
    "Claude Jacques André Louis Bernard Gérard Monique Jacqueline Hugo Lucas Emma Manon Louise Jules Gabriel Arthur "
    "Raphaël Adam Paul Victor Alice Rose Jade Lina Sarah Nora Mehdi Bilal Inaya Tiago Enzo Nathan Théo Mathis Clara "
    "Lucie Pauline Marine Mélanie Laura Justine Marion Émilie Audrey Virginie Delphine Laetitia Karine Florence Agnès "
    "Odile Brigitte Yvette Simone Denise Roger Marcel Raymond Guy Yves Hervé Thierry Bruno Didier Gilles Fabrice"
)
_GIVEN = (*GIVEN, *_MORE_GIVEN.split())


@dataclass(frozen=True, slots=True)
class Invented:
    """One entry, as somebody would ask for it. Without a family name: a team."""

    number: int
    family: str
    given: str
    city: str
    job: str
    specialty: str
    structure: str
    rpps: str
    line: str


class Crowd:
    """Entries of one seed. Some 6 MB, however many are asked for."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        made = ("".join(syllables) for syllables in product(_BEGINNINGS, _MIDDLES, _MIDDLES, _ENDS))
        rare = list(dict.fromkeys(name.upper() for name in made))
        Random(seed).shuffle(rare)
        common = [name.replace("_", " ") for name in FAMILIES]
        self._families = [*common, *rare[: FAMILIES_MAX - len(common)]]
        self._by_family = _shares([(rank + 14) ** -0.85 for rank in range(len(self._families))])
        self._by_given = _shares([(rank + 6) ** -0.9 for rank in range(len(_GIVEN))])
        self._by_job = _shares([share for share, *_ in JOBS])
        self._places, shares = _towns(seed)
        self._by_place = _shares(shares)
        self._structures: dict[int, tuple[str, str, str]] = {}
        self._by_hospital = _shares([(rank + 20) ** -0.8 for rank in range(HOSPITALS)])

    def entries(self, count: int) -> Iterator[Invented]:
        """The first `count` of them."""
        return map(self.entry, range(count))

    def entry(self, number: int) -> Invented:
        """The entry of this number."""
        chance = self._chance(1, number)
        in_hospital = chance.random() < HOSPITAL_SHARE
        structure = (
            bisect(self._by_hospital, chance.random()) if in_hospital else HOSPITALS + number // PEOPLE_OF_A_PRACTICE
        )
        name, code, town = self._structure(structure)
        city = town.removesuffix(" CEDEX")
        place = f"{chance.randrange(1, 200)}|Rue des Tilleuls|{code} {town}|{code}|"
        if chance.random() < TEAM_SHARE:
            address = f"bal.{number}@org{structure % 97}.mssante.example"
            service = _SERVICES[chance.randrange(len(_SERVICES))]
            line = f"ORG|{address}||||1|1{finess(structure)}|{service}||||||||O|{name}|{place}"
            return Invented(number, "", "", city, "", "", name, "", line)
        is_second = number > 0 and chance.random() < SECOND_ROLE_SHARE
        holder = number - 1 - int(chance.random() * min(number, 50)) if is_second else number
        who = self._chance(2, holder)
        family = self._families[bisect(self._by_family, who.random())]
        if who.random() < 0.05:
            family += f"-{self._families[bisect(self._by_family, who.random())]}"
        given = _GIVEN[bisect(self._by_given, who.random())]
        _, profession, job, specialty, words = JOBS[bisect(self._by_job, who.random())]
        known = rpps(holder)
        whole = f"8|{known}|8{known}|1|1{finess(structure)}||{'DR' if profession == '10' else ''}|{family}|{given}"
        line = f"PER|p{number}@dom{structure % 300}.mssante.example|{whole}|{profession}|{job}|{specialty}|{words}|N|"
        return Invented(number, family, given, city, job, words, name, known, f"{line}{name}|{place}")

    def _structure(self, number: int) -> tuple[str, str, str]:
        """Name, postal code, city. Those asked for last are remembered: its people stand near each other."""
        known = self._structures.get(number)
        if known is None:
            if len(self._structures) > STRUCTURES_REMEMBERED_MAX:
                self._structures.clear()
            known = self._structures[number] = self._structure_of(number)
        return known

    def _structure_of(self, number: int) -> tuple[str, str, str]:
        chance = self._chance(3, number)
        code, town = self._places[bisect(self._by_place, chance.random())]
        sorts = _HOSPITALS if number < HOSPITALS else _PRACTICES
        sort = sorts[min(chance.randrange(len(sorts)), chance.randrange(len(sorts)))]
        if number < HOSPITALS:
            saint = f" Saint-{_GIVEN[chance.randrange(len(_GIVEN))]}" if chance.random() < 0.4 else ""
            return f"{sort} {town.title()}{saint}", code, town
        return f"{sort} {self._families[bisect(self._by_family, chance.random())].title()}", code, town

    def _chance(self, what: int, number: int) -> Random:
        return Random((self._seed << 40) + (what << 32) + number)


def _shares(weights: list[float]) -> list[float]:
    """Where each ends, between 0 and 1."""
    total = sum(weights)
    return [end / total for end in accumulate(weights)][:-1]


def _towns(seed: int) -> tuple[list[tuple[str, str]], list[float]]:
    """Postal code and name of every place, and how many work there."""
    paris = [place for place in PLACES if place[1].startswith("PARIS")]
    cities = [place for place in PLACES if place not in paris]
    shares = [PARIS_SHARE / len(paris)] * len(paris)
    sizes = [(rank + 2) ** -0.6 for rank in range(len(cities))]
    shares += [(CITIES_SHARE - PARIS_SHARE) * size / sum(sizes) for size in sizes]
    chance, towns = Random(seed), dict[str, str]()
    while len(towns) < TOWNS_MAX:
        stem = f"{chance.choice(_BEGINNINGS)}{chance.choice(_MIDDLES)}{chance.choice(_ENDS)}".upper()
        form = chance.choice(("{}", "{}", "SAINT-{}", "{}-SUR-MER", "{} LE CHATEAU", "LA {}", "{}VILLE", "MONT {}"))
        towns.setdefault(
            form.format(stem), f"{chance.choice((*range(1, 20), *range(21, 96))):02}{chance.randrange(1, 999):03}"
        )
    sizes = [(rank + 20) ** -0.9 for rank in range(len(towns))]
    shares += [(1 - CITIES_SHARE) * size / sum(sizes) for size in sizes]
    return [*paris, *cities, *((code, name) for name, code in towns.items())], shares


def write(path: Path, count: int, seed: int = 1) -> Path:
    """A file of the public kind with `count` entries."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"{HEADER}\n")
        file.writelines(f"{one.line}\n" for one in Crowd(seed).entries(count))
    return path


def main() -> None:
    """`python -m tests.bench.crowd COUNT FILE`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    write(asked.file, asked.count, asked.seed)


if __name__ == "__main__":
    main()
