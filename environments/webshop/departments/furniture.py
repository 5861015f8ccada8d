"""Furniture: tables, seating, storage and bedroom."""

from environments.webshop.goods import Answer, Department, Kind

FURNITURE = Department(
    "Furniture",
    {
        "wood": (
            Answer("solid oak", "is made of solid oak", "oiled by hand"),
            Answer("reclaimed pine", "is made of reclaimed pine", "from old barns"),
            Answer("steel frame", "has a steel frame", "welded, not screwed"),
            Answer("rattan weave", "has a rattan weave", "that lets air through"),
        ),
        "assembly": (
            Answer("tool free assembly", "needs tool free assembly", "in ten minutes"),
            Answer("ready assembled", "comes ready assembled", "out of one box"),
            Answer("flat packed", "comes flat packed", "through any door"),
            Answer("numbered parts", "has numbered parts", "and a short plan"),
        ),
        "surface": (
            Answer("scratch resistant", "is scratch resistant", "against keys and cats"),
            Answer("stain guard", "has a stain guard", "against wine and ink"),
            Answer("high gloss", "has a high gloss", "in three coats"),
            Answer("natural wax", "is treated with natural wax", "natural wax from bees"),
        ),
        "room": (
            Answer("living room", "was made for the living room", "at home in a living room"),
            Answer("home office", "was made for the home office", "at home in a home office"),
            Answer("small spaces", "was made for small spaces", "at home in small spaces"),
            Answer("guest bedroom", "was made for a guest bedroom", "for a guest bedroom"),
        ),
        "safety": (
            Answer("anti tip", "has an anti tip anchor", "an anti tip kit is in the box"),
            Answer("rounded corners", "has rounded corners", "for children's heads"),
            Answer("floor protectors", "has floor protectors", "of felt"),
            Answer("soft close", "has soft close hinges", "soft close, at night too"),
        ),
        "strength": (
            Answer("heavy duty", "is heavy duty", "up to 400 pounds"),
            Answer("reinforced joints", "has reinforced joints", "at every corner"),
            Answer("adjustable height", "has an adjustable height", "in six steps"),
            Answer("hidden storage", "has hidden storage", "under the seat or top"),
        ),
        "making": (
            Answer("local timber", "uses local timber", "from within 100 miles"),
            Answer("low emission", "is low emission", "so that it never smells"),
            Answer("family workshop", "is from a family workshop", "a family workshop by a lake"),
            Answer("take back", "has a take back promise", "take back after ten years"),
        ),
    },
    (
        Kind("coffee table", "Tables", 60, 260, ("finish", "width"),
             ("wood", "assembly", "surface", "room", "safety", "strength", "making")),
        Kind("side table", "Tables", 35, 140, ("finish", "color"),
             ("wood", "assembly", "surface", "room", "safety", "making")),
        Kind("office chair", "Seating", 75, 290, ("color", "size"),
             ("assembly", "surface", "room", "safety", "strength", "making")),
        Kind("bar stool", "Seating", 40, 150, ("color", "count"),
             ("wood", "assembly", "surface", "room", "safety", "strength")),
        Kind("wall shelf", "Storage", 22, 110, ("finish", "width"),
             ("wood", "assembly", "surface", "room", "safety", "making")),
        Kind("shoe rack", "Storage", 25, 120, ("color", "width"),
             ("wood", "assembly", "surface", "room", "strength", "making")),
        Kind("bed frame", "Bedroom", 120, 480, ("finish", "size"),
             ("wood", "assembly", "surface", "safety", "strength", "making")),
        Kind("night stand", "Bedroom", 40, 160, ("finish", "color"),
             ("wood", "assembly", "surface", "room", "safety", "strength")),
    ),
)  # fmt: skip
