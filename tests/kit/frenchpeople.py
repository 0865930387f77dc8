"""Invented professionals as numerous as one wants, with names as they occur in France, in the form of the public file.

Names are drawn unevenly, as in life: a few are very common. Numbers have right keys and belong to nobody: RPPS that
begin with 99, FINESS with 99. The same seed gives the same people.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from mss.model.ids import luhn_sum

_FAMILIES = (
    "MARTIN BERNARD THOMAS PETIT ROBERT RICHARD DURAND DUBOIS MOREAU LAURENT SIMON MICHEL LEFEBVRE LEROY ROUX DAVID "
    "BERTRAND MOREL FOURNIER GIRARD BONNET DUPONT LAMBERT FONTAINE ROUSSEAU VINCENT MULLER LEFÈVRE FAURE ANDRE MERCIER "
    "BLANC GUERIN BOYER GARNIER CHEVALIER FRANÇOIS LEGRAND GAUTHIER GARCIA PERRIN ROBIN CLEMENT MORIN NICOLAS HENRY "
    "ROUSSEL MATHIEU GAUTIER MASSON MARCHAND DUVAL DENIS DUMONT MARIE LEMAIRE NOËL MEYER DUFOUR MEUNIER BRUN BLANCHARD "
    "GIRAUD JOLY RIVIÈRE LUCAS BRUNET GAILLARD BARBIER ARNAUD MARTINEZ GÉRARD ROCHE RENARD SCHMITT ROY LEROUX COLIN "
    "VIDAL CARON PICARD ROGER FABRE AUBERT LEMOINE RENAUD DUMAS LACROIX OLIVIER PHILIPPE BOURGEOIS PIERRE BENOÎT REY "
    "LECLERC PAYET ROLLAND LECLERCQ GUILLAUME LECOMTE LOPEZ JEAN DUPUY GUILLOT HUBERT BERGER CARPENTIER SANCHEZ DUPUIS "
    "MOULIN LOUIS DESCHAMPS HUET VASSEUR PEREZ BOUCHER FLEURY ROYER KLEIN JACQUET ADAM PARIS POIRIER MARTY AUBRY GUYOT "
    "CARRÉ CHARLES RENAULT CHARPENTIER MÉNARD MAILLARD BARON BERTIN BAILLY HERVÉ SCHNEIDER FERNANDEZ LE_GALL COLLET "
    "LÉGER BOUVIER JULIEN PRÉVOST MILLET PERROT DANIEL LE_ROUX COUSIN GERMAIN BRETON RÉMY BESSON LANGLOIS THIBAULT "
    "DE_LA_TOUR D'ARTAGNAN NGUYEN DIALLO TRAORÉ HADDAD BENALI COHEN ÖZTÜRK KOWALSKI HŒFFLER SÆTHER ÉTIENNE"
)
_GIVEN = (
    "Marie Jean Philippe Nathalie Michel Isabelle Alain Sylvie Patrick Catherine Nicolas Martine Christophe Christine "
    "Pierre Françoise Christian Valérie Éric Sandrine Frédéric Stéphanie Laurent Véronique Stéphane Sophie Céline "
    "Pascal Chantal Daniel Anne Jérôme Aurélie Camille Léa Inès Chloé Zoé Thomas Julien Antoine Hélène Élodie Aïcha "
    "Karim Samir Fatima Mohamed Thuy Yann Gwenaëlle Maël Noël Anaïs François Jean-Pierre Marie-Claude Anne-Sophie"
)
FAMILIES, GIVEN = _FAMILIES.split(), _GIVEN.split()
PLACES = (
    ("75015", "PARIS 15"), ("75008", "PARIS"), ("13005", "MARSEILLE 05"), ("69003", "LYON 03"), ("31000", "TOULOUSE"),
    ("06000", "NICE"), ("44000", "NANTES"), ("34000", "MONTPELLIER"), ("67000", "STRASBOURG"), ("33000", "BORDEAUX"),
    ("59000", "LILLE"), ("35000", "RENNES"), ("51100", "REIMS"), ("76600", "LE HAVRE"), ("42000", "SAINT-ÉTIENNE"),
    ("83000", "TOULON"), ("38000", "GRENOBLE"), ("21000", "DIJON"), ("49000", "ANGERS"), ("30000", "NÎMES"),
    ("97400", "SAINT-DENIS CEDEX"), ("20000", "AJACCIO"), ("29200", "BREST"), ("87000", "LIMOGES"),
    ("63000", "CLERMONT-FERRAND"), ("80000", "AMIENS CEDEX 1"), ("57000", "METZ"), ("66000", "PERPIGNAN"),
    ("45000", "ORLÉANS"), ("14000", "CAEN"),
)  # fmt: skip
JOBS = (
    ("10", "Médecin", "SM26", "Qualifié en Médecine Générale"), ("60", "Infirmier", "", ""),
    ("10", "Médecin", "SM04", "Cardiologie et maladies vasculaires"), ("10", "Médecin", "SM42", "Psychiatrie"),
    ("10", "Médecin", "SM03", "Biologie médicale"),
    ("10", "Médecin", "SM54", "Médecine Générale"), ("21", "Pharmacien", "", ""), ("40", "Chirurgien-Dentiste", "", ""),
    ("50", "Sage-Femme", "", ""), ("70", "Masseur-Kinésithérapeute", "", ""), ("10", "Médecin", "SM40", "Pédiatrie"),
)  # fmt: skip
HEADER = (
    "Type de BAL|Adresse BAL|Type d'identifiant PP|Identifiant PP|Identification nationale PP|"
    "Type d'identifiant structure|Identification structure|Service de rattachement|Civilité d'exercice|"
    "Nom d'exercice|Prénom d'exercice|Code profession|Libellé profession|Code savoir-faire|"
    "Libellé savoir-faire|Dématérialisation|"
    "Raison Sociale structure BAL|L4NUMEROVOIE structure BAL|L4LIBELLEVOIE structure BAL|"
    "L6LIGNEACHEMINEMENT structure BAL|Code postal structure BAL|Département structure BAL"
)
ORGANISATIONAL_SHARE = 0.1
PEOPLE_A_STRUCTURE = 12


def keyed(stem: str) -> str:
    """A number with its Luhn key behind it."""
    return stem + str(-luhn_sum(stem + "0") % 10)


def rpps(number: int) -> str:
    return keyed(f"99{number:08}")


def finess(number: int) -> str:
    return keyed(f"99{number:06}")


def lines(count: int, seed: int = 1) -> Iterator[str]:
    """The file, header first, then `count` mailboxes."""
    chance = Random(seed)
    yield HEADER
    for number in range(count):
        yield line(number, chance)


def line(number: int, chance: Random) -> str:
    """One mailbox."""
    structure = number // PEOPLE_A_STRUCTURE
    code, city = PLACES[structure % len(PLACES)]
    sort = ("Centre hospitalier", "Cabinet médical", "Clinique", "Maison de santé")[structure % 4]
    name = f"{sort} {GIVEN[structure % len(GIVEN)]} {structure}"
    place = f"1|Rue des Tilleuls|{code} {city}|{code}|"
    if chance.random() < ORGANISATIONAL_SHARE:
        service = ("Secrétariat", "Cardiologie", "Urgences", "Laboratoire")[number % 4]
        address = f"bal.{number}@org{structure % 40}.mssante.example"
        return f"ORG|{address}||||1|1{finess(structure)}|{service}||||||||O|{name}|{place}"
    family = _of(chance, FAMILIES).replace("_", " ")
    if chance.random() < 0.07:
        family += f"-{_of(chance, FAMILIES).replace('_', ' ')}"
    given = _of(chance, GIVEN)
    profession, label, specialty, words = JOBS[min(chance.randrange(len(JOBS)), chance.randrange(len(JOBS)))]
    title = "DR" if profession == "10" else ""
    address = f"p{number}@dom{structure % 300}.mssante.example"
    known = rpps(number)
    who = f"8|{known}|8{known}|1|1{finess(structure)}||{title}|{family}|{given}"
    return f"PER|{address}|{who}|{profession}|{label}|{specialty}|{words}|N|{name}|{place}"


def write(path: Path, count: int, seed: int = 1) -> Path:
    """A whole file of `count` mailboxes."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{one}\n" for one in lines(count, seed))
    return path


def _of(chance: Random, names: list[str]) -> str:
    """The first ones more often, about as in life."""
    return names[min(int(len(names) * chance.random() ** 1.8), len(names) - 1)]
