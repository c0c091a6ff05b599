"""The words of synthetic charts and pages; all their texts are made from these lists."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topic:
    """What a chart is about.

    Attributes:
        subject: What is measured.
        unit: Of the values.
        groups: What the categories are.
        categories: Their names.
        series: What is told apart by colour.
    """

    subject: str
    unit: str
    groups: str
    categories: tuple[str, ...]
    series: tuple[str, ...]


_YEARS = ("2020", "2021", "2022", "2023", "2024")
_REGIONS = ("North", "South", "East", "West", "Centre")
_QUARTERS = ("First quarter", "Second quarter", "Third quarter", "Fourth quarter")
_TEAMS = ("Team A", "Team B", "Team C", "Team D", "Team E")

TOPICS = (
    Topic(
        *("Fruit harvest", "tonnes", "Fruit"),
        ("Apples", "Pears", "Plums", "Cherries", "Grapes", "Quinces", "Peaches", "Figs"),
        _YEARS,
    ),
    Topic(
        *("Library loans", "books", "Genre"),
        ("Crime", "Poetry", "Travel", "History", "Science", "Comics", "Cooking", "Art"),
        _YEARS,
    ),
    Topic(
        *("Rainfall", "mm", "Month"),
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug"),
        _REGIONS,
    ),
    Topic(
        *("Bicycle rides", "rides per day", "Weekday"),
        ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
        _REGIONS,
    ),
    Topic(
        *("Coffee sales", "cups", "Drink"),
        ("Espresso", "Latte", "Mocha", "Filter", "Cocoa", "Flat white", "Tea", "Ristretto"),
        _QUARTERS,
    ),
    Topic(
        *("Energy use", "kWh", "Room"),
        ("Kitchen", "Office", "Hall", "Garage", "Attic", "Cellar", "Studio", "Lab"),
        _YEARS,
    ),
    Topic(
        *("Repair time", "minutes", "Part"),
        ("Brake", "Chain", "Pedal", "Wheel", "Light", "Saddle", "Gear", "Bell"),
        _TEAMS,
    ),
    Topic(
        *("Test results", "points", "Task"),
        ("Reading", "Algebra", "Biology", "Music", "Drawing", "Logic", "Geometry", "Grammar"),
        _TEAMS,
    ),
    Topic(
        *("Bird sightings", "birds", "Species"),
        ("Robin", "Wren", "Heron", "Swift", "Owl", "Magpie", "Finch", "Crane"),
        _REGIONS,
    ),
    Topic(
        *("Parcels sent", "thousands", "Depot"),
        ("Harbour", "Station", "Airport", "Mill", "Market", "Bridge", "Forest", "Hill"),
        _QUARTERS,
    ),
    Topic(
        *("Server load", "requests per second", "Service"),
        ("Login", "Search", "Upload", "Export", "Mail", "Backup", "Index", "Chat"),
        ("Alpha", "Beta", "Gamma", "Delta"),
    ),
    Topic(
        *("Museum visits", "visitors", "Exhibit"),
        ("Dinosaurs", "Minerals", "Ships", "Coins", "Masks", "Clocks", "Maps", "Robots"),
        ("Adults", "Students", "Children", "Members"),
    ),
)

TITLE_FORMS = (
    "{subject} by {groups}",
    "{subject} ({unit})",
    "{subject}",
    "{subject}: an overview",
    "Comparison of {subject}",
)

NOTES = ("Peak", "Highest", "Record", "Best value")

# ------------------------------------------------------------------------------------------ pages

BRAND_FIRST = ("Blue", "North", "Silver", "Clear", "Bright", "Quiet", "Maple", "Stone", "Swift")
BRAND_SECOND = ("field", "harbor", "leaf", "works", "lane", "gate", "path", "mark", "bridge")

MENU = ("Home", "Products", "Pricing", "Blog", "About", "Contact", "Team", "Events", "Help", "Shop")

HEADLINES = (
    "Plan your week in minutes",
    "Fresh bread every morning",
    "A garden on every balcony",
    "Bicycles built to last",
    "Learn a language at lunch",
    "Simple tools for small teams",
    "Find a quiet place to read",
    "Furniture made of local oak",
)

SENTENCES = (
    "We started in a small workshop and still answer every letter ourselves.",
    "Choose a date, invite your friends and leave the rest to us.",
    "Every order is packed by hand and leaves the house on the same day.",
    "Our guides know the shortest way and the best view.",
    "Nothing to install, nothing to update, nothing to forget.",
    "You can change your mind at any time and keep what you made.",
    "The first month is free, and so is every question.",
    "Made from wood that grew less than a day away.",
    "Open from early morning until the last guest has left.",
    "A short course for beginners starts on the first Monday of the month.",
    "All figures are updated once an hour.",
    "Ask the people who use it every day.",
)

CARD_TITLES = (
    *("Fast delivery", "Fair prices", "Clear reports", "Safe storage", "Live support"),
    *("Weekly menu", "Open data", "Shared notes", "Quiet mode", "Gift cards", "Group tours"),
    *("Night school", "Spare parts", "Home visits"),
)

BUTTONS = ("Get started", "Read more", "Sign up", "Book a visit", "Try it", "Order now", "Join us")

FIELDS = (
    ("Name", "text", "Your full name"),
    ("E-mail", "email", "name@example.org"),
    ("Phone", "text", "Including area code"),
    ("City", "text", "Where you live"),
    ("Guests", "number", "2"),
    ("Date", "text", "Day and month"),
    ("Subject", "text", "What is it about?"),
)

TABLE_COLUMNS = ("Price", "Stock", "Weight", "Rating", "Orders", "Returns", "Days")
TABLE_ROWS = (
    *("Desk lamp", "Oak chair", "Wool rug", "Tea pot", "Wall clock", "Book shelf", "Blue vase"),
    *("Door mat", "Bread box", "Coat rack"),
)

STATISTICS = ("Visitors", "Orders", "Members", "Returns", "Messages", "Open tasks", "Reviews")
PEOPLE = ("a regular guest", "a new member", "a teacher", "a neighbour", "a long-time customer")
