"""Kitchen: drinkware, food storage, cookware and utensils."""

from environments.webshop.goods import Answer, Department, Kind

KITCHEN = Department(
    "Kitchen",
    {
        "material": (
            Answer("stainless steel", "is made of stainless steel", "which does not dent easily"),
            Answer("borosilicate glass", "is made of borosilicate glass", "clear for years"),
            Answer("natural bamboo", "is made of natural bamboo", "grown without pesticides"),
            Answer("ceramic coated", "is ceramic coated", "so that nothing sticks"),
        ),
        "care": (
            Answer("dishwasher safe", "is dishwasher safe", "on the upper and the lower rack"),
            Answer("wipe clean", "wipes clean in seconds", "wipe clean with a damp cloth"),
            Answer("odor free", "stays odor free", "even after garlic"),
            Answer("rust proof", "is rust proof", "tested for a thousand hours in salt spray"),
        ),
        "safety": (
            Answer("bpa free", "is bpa free", "confirmed by an outside laboratory"),
            Answer("lead safe", "is lead safe", "down to the printed logo"),
            Answer("food grade", "is food grade throughout", "seals included"),
            Answer("toxin tested", "is toxin tested", "batch by batch"),
        ),
        "closing": (
            Answer("leak proof", "is leak proof", "upside down in a full bag"),
            Answer("airtight lid", "has an airtight lid", "so that contents stay fresh"),
            Answer("twist lock", "closes with a twist lock", "that one hand can open"),
            Answer("snap shut", "has corners that snap shut", "snap shut with a clear click"),
        ),
        "grip": (
            Answer("non slip", "is non slip", "on wet counters too"),
            Answer("ergonomic handle", "has an ergonomic handle", "shaped for either hand"),
            Answer("double walled", "is double walled", "so that the outside stays cool"),
            Answer("feather light", "is feather light", "at half the usual weight"),
        ),
        "heat": (
            Answer("oven ready", "is oven ready", "up to 450 degrees"),
            Answer("induction base", "has an induction base", "that warms evenly"),
            Answer("microwaveable", "is microwaveable", "without hot spots"),
            Answer("freezer friendly", "is freezer friendly", "and does not crack"),
        ),
        "storage": (
            Answer("space saving", "is space saving", "for the smallest cupboard"),
            Answer("stackable", "is stackable", "with every size of the series"),
            Answer("hanging loop", "has a hanging loop", "for hook or rail"),
            Answer("nesting set", "comes as a nesting set", "each piece inside the next"),
        ),
    },
    (
        Kind("water bottle", "Drinkware", 11, 34, ("color", "capacity"),
             ("material", "care", "safety", "closing", "grip", "storage")),
        Kind("coffee mug", "Drinkware", 8, 26, ("color", "capacity"),
             ("material", "care", "safety", "grip", "heat", "storage")),
        Kind("lunch box", "Food Storage", 12, 38, ("color", "count"),
             ("material", "care", "safety", "closing", "heat", "storage")),
        Kind("storage jar", "Food Storage", 6, 22, ("capacity", "count"),
             ("material", "care", "safety", "closing", "grip", "storage")),
        Kind("frying pan", "Cookware", 18, 75, ("color", "size"),
             ("material", "care", "safety", "grip", "heat", "storage")),
        Kind("baking tray", "Cookware", 10, 36, ("size", "count"),
             ("material", "care", "safety", "grip", "heat", "storage")),
        Kind("cutting board", "Utensils", 9, 44, ("color", "size"),
             ("material", "care", "safety", "grip", "storage")),
        Kind("mixing bowl", "Utensils", 10, 40, ("color", "count"),
             ("material", "care", "safety", "grip", "heat", "storage")),
    ),
)  # fmt: skip
