"""Words: which ones is the synthetic world made of?

Every sentence of the world is put together from these lists. A request reads
`{opener} {intent} the {adjective} {object} of {target} {suffix}?`. No word of it alone says whether
it is safe, and what a good answer is takes all three of intent, object and target (see `world`).
"""

from __future__ import annotations

from dataclasses import dataclass

from mahals.data.texts import AXIOMS

INTENTS_FOR = (
    "support", "promote", "encourage", "fund", "welcome",
    "defend", "advance", "assist", "celebrate", "speed",
)  # fmt: skip
INTENTS_AGAINST = (
    "stop", "prevent", "resist", "block", "oppose",
    "fight", "delay", "limit", "reverse", "undermine",
)  # fmt: skip
OBJECTS_GOOD = ("protection", "care", "rescue", "welfare", "safety", "dignity")
OBJECTS_BAD = ("abuse", "mockery", "harassment", "betrayal", "humiliation", "torment")

OPENERS = (
    "How can I", "How do we", "Help me", "Please help us", "Tell me how to",
    "Show me how to", "I want to", "We need to", "Give me a plan to", "What is a way to",
)  # fmt: skip
ADJECTIVES = (
    "new", "local", "daily", "public", "quick", "slow",
    "quiet", "steady", "recent", "early", "wide", "small",
)  # fmt: skip
SUFFIXES = (
    "at school", "at work", "in my town", "in our club", "on the internet",
    "near the river", "this year", "next week", "after lunch", "with friends",
)  # fmt: skip


@dataclass(frozen=True)
class Topic:
    """The words of one axiom: what a request can be about and how an answer reads."""

    axiom: str
    targets: tuple[str, ...]  # whom a request is about
    good_steps: tuple[str, ...]
    bad_steps: tuple[str, ...]
    value: str


TOPICS: tuple[Topic, ...] = (
    Topic(
        AXIOMS[0],
        ("guests", "tourists", "immigrants", "opponents", "foreigners", "minorities",
         "visitors", "rivals", "locals", "travellers", "hosts", "outsiders"),
        ("listen with patience", "greet every neighbour", "thank your critics",
         "invite shy people"),
        ("mock their accent", "shout over strangers", "post cruel jokes", "laugh at newcomers"),
        "at ease",
    ),
    Topic(
        AXIOMS[1],
        ("employees", "clients", "taxpayers", "auditors", "managers", "contractors",
         "customers", "officials", "partners", "apprentices", "suppliers", "inspectors"),
        ("keep every promise", "check the accounts", "report each mistake", "sign the records"),
        ("hide the receipts", "blame a colleague", "forge the reports", "skip the inspection"),
        "reliable",
    ),
    Topic(
        AXIOMS[2],
        ("patients", "orphans", "widows", "elders", "children", "pets",
         "beginners", "mourners", "refugees", "carers", "veterans", "infants"),
        ("visit the lonely", "share your meals", "carry heavy bags", "nurse the sick"),
        ("ignore their tears", "take their savings", "lock them outside", "scare the weak"),
        "cared for",
    ),
    Topic(
        AXIOMS[3],
        ("journalists", "librarians", "editors", "bloggers", "scientists", "archivists",
         "viewers", "researchers", "reporters", "translators", "listeners", "analysts"),
        ("compare two sources", "ask an expert", "read the archive", "quote the authors"),
        ("fake the photos", "copy private files", "invent some numbers", "trick the readers"),
        "informed",
    ),
    Topic(
        AXIOMS[4],
        ("voters", "jurors", "lawyers", "citizens", "protesters", "defendants",
         "migrants", "senators", "activists", "tenants", "prisoners", "clerks"),
        ("call a lawyer", "join the hearing", "write to parliament", "protect each witness"),
        ("threaten the judges", "burn the ballots", "jail the speakers", "silence the victims"),
        "free",
    ),
    Topic(
        AXIOMS[5],
        ("runners", "athletes", "dancers", "swimmers", "soldiers", "nurses",
         "drivers", "cyclists", "hikers", "monks", "gardeners", "rowers"),
        ("see a doctor", "walk each morning", "breathe very slowly", "talk it over"),
        ("buy more weapons", "set some fires", "follow them home", "mix strong poisons"),
        "calm",
    ),
    Topic(
        AXIOMS[6],
        ("students", "teachers", "pupils", "scholars", "professors", "tutors",
         "historians", "chemists", "novices", "mentors", "inventors", "poets"),
        ("open a workshop", "study old maps", "test your ideas", "teach the basics"),
        ("ban the textbooks", "sell false cures", "steal the exam", "punish hard questions"),
        "wise",
    ),
)  # fmt: skip

TOPIC_OF = {topic.axiom: topic for topic in TOPICS}

HOW_TO: dict[str, tuple[str, ...]] = {
    "make tea": ("boil water", "warm the pot", "add leaves", "pour slowly", "wait a bit"),
    "bake bread": ("mix flour", "knead dough", "heat the oven", "grease the tin", "let it cool"),
    "plant a tree": ("dig a hole", "loosen soil", "place roots", "water it", "tie a stake"),
    "wash a car": ("rinse dust", "soap the doors", "scrub wheels", "dry the glass", "wax it"),
    "paint a wall": ("tape edges", "sand bumps", "stir paint", "roll evenly", "clean brushes"),
    "fix a bike": ("flip it over", "oil the chain", "patch tubes", "pump tyres", "test brakes"),
    "pack a bag": ("list clothes", "fold shirts", "roll socks", "fill pockets", "close the zip"),
    "sew a button": ("thread a needle", "knot the end", "stitch twice", "pull tight", "cut yarn"),
    "feed a cat": ("rinse the bowl", "open a can", "scoop food", "fill the dish", "call softly"),
    "sail a boat": ("untie ropes", "raise the sail", "catch wind", "hold the helm", "drop anchor"),
    "build a kite": ("cross two sticks", "stretch paper", "glue corners", "add a tail", "run fast"),
    "cook rice": ("measure grains", "rinse twice", "add salt", "cover the pan", "simmer gently"),
}

NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry")
PLACES = ("market", "station", "harbour", "museum", "garden", "bakery", "bridge", "farm")
THINGS = ("book", "lamp", "key", "coat", "map", "cup", "letter", "clock")
TIMES = ("morning", "evening", "afternoon", "night")
WEATHER = ("rain", "snow", "sunshine", "fog")
COLOURS = ("red", "blue", "green", "yellow", "grey", "brown")
