"""Goods: what the shop's departments sell, and the words for it; `catalogue` makes products of it.

Everything here was written for this shop. An `Aspect` is a question that a product answers in one
of a few ways ("how is it cleaned?"); the answers are the attributes that instructions ask for. No
two attributes, and no two values of an option, may match each other under the reward's fuzzy
comparison (a test compares all pairs): otherwise a wrong product could score as the right one.
"""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """One attribute, and how pages and instructions speak of it."""

    attribute: str
    phrase: str
    """What follows "it": ``is leak proof``."""
    reason: str
    """What a feature or a description adds."""
    asked: str = ""
    """How a paraphrased instruction asks for it; shares a word with the attribute."""


class OptionAxis(NamedTuple):
    """What a buyer chooses on an item's page."""

    name: str
    values: tuple[str, ...]
    step: float
    """Surcharge of each further value, as a share of the base price; 0 for a free choice."""


class Kind(NamedTuple):
    """A kind of product."""

    name: str
    category: str
    lowest_price: float
    """Base prices, in dollars."""
    highest_price: float
    options: tuple[str, ...]
    """Names of option axes."""
    aspects: tuple[str, ...]
    """Names of aspects, at least five."""


class Department(NamedTuple):
    """A part of the shop."""

    name: str
    aspects: dict[str, tuple[Answer, ...]]
    kinds: tuple[Kind, ...]


COLOURS = (
    "black", "white", "blue", "green", "grey", "brown", "pink", "purple", "orange", "yellow",
    "beige", "silver", "gold", "teal", "olive", "ivory", "burgundy", "turquoise",
)  # fmt: skip

OPTION_AXES = {
    axis.name: axis
    for axis in (
        OptionAxis("color", COLOURS, 0.0),
        OptionAxis("size", ("xs", "s", "m", "l", "xl", "xxl"), 0.04),
        OptionAxis("shoe size", ("6", "7", "8", "9", "10", "11", "12"), 0.0),
        OptionAxis("capacity", ("8 oz", "12 oz", "20 oz", "32 oz", "40 oz"), 0.12),
        OptionAxis("volume", ("30 ml", "75 ml", "150 ml", "240 ml", "480 ml"), 0.25),
        OptionAxis("scent", ("unscented", "lavender", "vanilla", "citrus", "sandalwood"), 0.0),
        OptionAxis("count", ("single", "2-pack", "4-pack", "6-pack", "12-pack"), 0.45),
        OptionAxis("cable", ("3 ft", "6 ft", "10 ft", "15 ft"), 0.1),
        OptionAxis("width", ("24 in", "30 in", "36 in", "48 in", "60 in"), 0.15),
        OptionAxis("finish", ("oak", "walnut", "maple", "charcoal", "whitewash"), 0.06),
        OptionAxis("weight", ("1 lb", "3 lb", "5 lb", "8 lb", "15 lb"), 0.3),
    )
}

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

CLOTHING = Department(
    "Clothing",
    {
        "fabric": (
            Answer("organic cotton", "is made of organic cotton", "soft from the first day"),
            Answer("merino wool", "is made of merino wool", "warm and never itchy"),
            Answer("recycled polyester", "is made of recycled polyester", "from old bottles"),
            Answer("linen blend", "is made of a linen blend", "a linen blend that gets softer"),
        ),
        "washing": (
            Answer("machine washable", "is machine washable", "at any temperature"),
            Answer("wrinkle resistant", "is wrinkle resistant", "straight out of the suitcase"),
            Answer("quick drying", "is quick drying", "overnight on a line"),
            Answer("color fast", "is color fast", "after fifty washes"),
        ),
        "cut": (
            Answer("slim fit", "has a slim fit", "close to the body"),
            Answer("relaxed cut", "has a relaxed cut", "with room to move"),
            Answer("long length", "comes in a long length", "for tall people"),
            Answer("petite shape", "has a petite shape", "for small frames"),
        ),
        "weather": (
            Answer("water repellent", "is water repellent", "through an hour of rain"),
            Answer("wind proof", "is wind proof", "on any ridge"),
            Answer("moisture wicking", "is moisture wicking", "when it gets warm"),
            Answer("sun blocking", "is sun blocking", "with a factor of fifty"),
        ),
        "detail": (
            Answer("zip pockets", "has zip pockets", "deep enough for a phone"),
            Answer("reflective trim", "has reflective trim", "seen from all sides"),
            Answer("hidden pouch", "has a hidden pouch", "for keys and coins"),
            Answer("drawstring hem", "has a drawstring hem", "that stays in place"),
        ),
        "comfort": (
            Answer("tag free", "is tag free", "so that nothing scratches"),
            Answer("fleece lined", "is fleece lined", "for cold mornings"),
            Answer("four way stretch", "has four way stretch", "and keeps its form"),
            Answer("breathable mesh", "has breathable mesh", "where it is needed"),
        ),
        "sole": (
            Answer("memory foam", "has a memory foam insole", "made of memory foam"),
            Answer("arch support", "gives arch support", "for long days"),
            Answer("rubber sole", "has a rubber sole", "that grips wet stone"),
            Answer("wide toe box", "has a wide toe box", "so that no toe is squeezed"),
        ),
        "making": (
            Answer("fair trade", "is fair trade", "from field to shop"),
            Answer("vegan approved", "is vegan approved", "glue included"),
            Answer("handmade", "is handmade", "in small workshops"),
            Answer("carbon neutral", "is carbon neutral", "shipping included"),
        ),
    },
    (
        Kind("running shoes", "Footwear", 35, 120, ("color", "shoe size"),
             ("washing", "weather", "detail", "comfort", "sole", "making")),
        Kind("rain boots", "Footwear", 28, 80, ("color", "shoe size"),
             ("washing", "detail", "comfort", "sole", "making")),
        Kind("hiking jacket", "Outerwear", 55, 180, ("color", "size"),
             ("fabric", "washing", "cut", "weather", "detail", "comfort", "making")),
        Kind("winter coat", "Outerwear", 70, 220, ("color", "size"),
             ("fabric", "washing", "cut", "weather", "detail", "making")),
        Kind("dress shirt", "Tops", 22, 70, ("color", "size"),
             ("fabric", "washing", "cut", "detail", "comfort", "making")),
        Kind("pullover sweater", "Tops", 26, 90, ("color", "size"),
             ("fabric", "washing", "cut", "comfort", "making")),
        Kind("yoga pants", "Bottoms", 18, 65, ("color", "size"),
             ("fabric", "washing", "cut", "weather", "detail", "comfort", "making")),
        Kind("travel shorts", "Bottoms", 15, 55, ("color", "size"),
             ("fabric", "washing", "cut", "weather", "detail", "making")),
    ),
)  # fmt: skip

BEAUTY = Department(
    "Beauty",
    {
        "skin": (
            Answer("sensitive skin", "suits sensitive skin", "made for sensitive skin"),
            Answer("dry skin", "helps dry skin", "made for dry skin"),
            Answer("oily skin", "balances oily skin", "made for oily skin"),
            Answer("mature skin", "cares for mature skin", "made for mature skin"),
        ),
        "base": (
            Answer("coconut oil", "is based on coconut oil", "pressed cold"),
            Answer("shea butter", "is rich in shea butter", "from a women's cooperative"),
            Answer("aloe vera", "contains aloe vera", "straight from the leaf"),
            Answer("green tea", "contains green tea", "from the first harvest"),
        ),
        "without": (
            Answer("paraben free", "is paraben free", "and keeps for a year"),
            Answer("sulfate free", "is sulfate free", "and still foams"),
            Answer("alcohol free", "is alcohol free", "and does not sting"),
            Answer("silicone free", "is silicone free", "and rinses out"),
        ),
        "ethics": (
            Answer("cruelty free", "is cruelty free", "certified every year"),
            Answer("plant powered", "is plant powered", "with nothing from animals"),
            Answer("reef friendly", "is reef friendly", "for swims in the sea"),
            Answer("zero waste", "is a zero waste product", "zero waste down to the label"),
        ),
        "feel": (
            Answer("long lasting", "is long lasting", "from morning to night"),
            Answer("fast absorbing", "is fast absorbing", "in under a minute"),
            Answer("non greasy", "is non greasy", "so that hands stay dry"),
            Answer("matte finish", "leaves a matte finish", "a matte finish without powder"),
        ),
        "package": (
            Answer("travel size", "comes in a travel size", "allowed in hand luggage"),
            Answer("refillable", "is refillable", "from a paper pouch"),
            Answer("pump dispenser", "has a pump dispenser", "that gives equal portions"),
            Answer("recycled tube", "comes in a recycled tube", "without an outer box"),
        ),
        "proof": (
            Answer("dermatologist tested", "is dermatologist tested", "on forty people"),
            Answer("hypoallergenic", "is hypoallergenic", "for the whole family"),
            Answer("baby safe", "is baby safe", "from the first week"),
            Answer("vitamin enriched", "is vitamin enriched", "with c and e"),
        ),
    },
    (
        Kind("face cream", "Skin Care", 9, 48, ("scent", "volume"),
             ("skin", "base", "without", "ethics", "feel", "package", "proof")),
        Kind("body lotion", "Skin Care", 7, 32, ("scent", "volume"),
             ("skin", "base", "without", "ethics", "feel", "package")),
        Kind("hand soap", "Bath", 5, 18, ("scent", "count"),
             ("skin", "base", "without", "ethics", "package", "proof")),
        Kind("bubble bath", "Bath", 6, 24, ("scent", "volume"),
             ("skin", "base", "without", "ethics", "package", "proof")),
        Kind("shampoo bar", "Hair Care", 6, 19, ("scent", "count"),
             ("base", "without", "ethics", "package", "proof")),
        Kind("hair mask", "Hair Care", 8, 35, ("scent", "volume"),
             ("base", "without", "ethics", "feel", "package", "proof")),
        Kind("lip balm", "Makeup", 4, 14, ("color", "count"),
             ("skin", "base", "without", "ethics", "feel", "proof")),
        Kind("nail polish", "Makeup", 5, 16, ("color", "count"),
             ("without", "ethics", "feel", "package", "proof")),
    ),
)  # fmt: skip

ELECTRONICS = Department(
    "Electronics",
    {
        "power": (
            Answer("fast charging", "is fast charging", "to half in twenty minutes"),
            Answer("solar assisted", "is solar assisted", "on any windowsill"),
            Answer("week long battery", "has a week long battery", "in daily use"),
            Answer("auto shutoff", "has auto shutoff", "after ten minutes"),
        ),
        "shell": (
            Answer("splash proof", "is splash proof", "rated ipx5"),
            Answer("shock absorbing", "is shock absorbing", "from table height"),
            Answer("dust sealed", "is dust sealed", "for workshop and beach"),
            Answer("aluminum body", "has an aluminum body", "milled from one piece"),
        ),
        "sound": (
            Answer("noise cancelling", "is noise cancelling", "on trains and planes"),
            Answer("low latency", "has low latency", "so that lips and voice agree"),
            Answer("deep bass", "has deep bass", "without a rattle"),
            Answer("clear calls", "makes clear calls", "clear calls with two microphones"),
        ),
        "control": (
            Answer("touch panel", "has a touch panel", "that works with gloves"),
            Answer("voice assistant", "works with a voice assistant", "of your choice"),
            Answer("app timer", "has an app timer", "for every weekday"),
            Answer("one button setup", "has one button setup", "without an account"),
        ),
        "carrying": (
            Answer("travel pouch", "comes with a travel pouch", "of felt"),
            Answer("foldable", "is foldable", "to the size of a hand"),
            Answer("ultra thin", "is ultra thin", "thinner than a coin"),
            Answer("magnetic mount", "has a magnetic mount", "strong enough for bumps"),
        ),
        "link": (
            Answer("dual pairing", "does dual pairing", "with laptop and phone"),
            Answer("type c port", "has a type c port", "for data and power"),
            Answer("plug and play", "is plug and play", "on every system"),
            Answer("encrypted signal", "has an encrypted signal", "checked by auditors"),
        ),
        "service": (
            Answer("lifetime warranty", "has a lifetime warranty", "without fine print"),
            Answer("spare parts", "comes with spare parts", "and the right screwdriver"),
            Answer("open firmware", "has open firmware", "that you may change"),
            Answer("repair manual", "comes with a repair manual", "in plain words"),
        ),
    },
    (
        Kind("wireless earbuds", "Audio", 25, 140, ("color", "count"),
             ("power", "shell", "sound", "control", "carrying", "link", "service")),
        Kind("bluetooth speaker", "Audio", 22, 160, ("color", "size"),
             ("power", "shell", "sound", "control", "carrying", "link", "service")),
        Kind("power bank", "Charging", 15, 70, ("color", "cable"),
             ("power", "shell", "carrying", "link", "service")),
        Kind("wall charger", "Charging", 9, 45, ("color", "cable"),
             ("power", "shell", "carrying", "link", "service")),
        Kind("computer mouse", "Desk", 11, 80, ("color", "size"),
             ("power", "shell", "control", "carrying", "link", "service")),
        Kind("desk lamp", "Desk", 18, 85, ("color", "cable"),
             ("power", "shell", "control", "carrying", "service")),
        Kind("smart plug", "Home", 8, 36, ("color", "count"),
             ("power", "shell", "control", "link", "service")),
        Kind("alarm clock", "Home", 10, 55, ("color", "cable"),
             ("power", "shell", "sound", "control", "link", "service")),
    ),
)  # fmt: skip

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

PETS = Department(
    "Pets",
    {
        "cleaning": (
            Answer("removable cover", "has a removable cover", "with a long zipper",
                   "with a cover I can remove"),
            Answer("fur repelling", "is fur repelling", "so that a brush is enough",
                   "that fur does not stick to"),
            Answer("rinse clean", "rinses clean under the tap", "rinse clean in seconds",
                   "I can just rinse"),
            Answer("smell blocking", "is smell blocking", "with a charcoal layer",
                   "that keeps the smell in"),
        ),
        "toughness": (
            Answer("chew proof", "is chew proof", "tested by puppies",
                   "my puppy cannot chew through"),
            Answer("claw resistant", "is claw resistant", "with a tight weave",
                   "that withstands a cat's claw"),
            Answer("weather sealed", "is weather sealed", "for yard and porch",
                   "that can stay out in any weather"),
            Answer("tip stable", "is tip stable", "with a wide foot",
                   "that does not tip over"),
        ),
        "age": (
            Answer("puppy sized", "is puppy sized", "for the first months",
                   "for a puppy"),
            Answer("senior friendly", "is senior friendly", "with a low edge",
                   "for a senior animal"),
            Answer("indoor cats", "suits indoor cats", "made for indoor cats",
                   "for cats that stay indoor"),
            Answer("large breeds", "suits large breeds", "made for large breeds",
                   "for one of the large ones"),
        ),
        "stuff": (
            Answer("natural rubber", "is made of natural rubber", "without dye",
                   "of rubber from trees"),
            Answer("hemp rope", "is made of hemp rope", "three strands thick",
                   "made from hemp"),
            Answer("felted wool", "is made of felted wool", "from mountain sheep",
                   "in wool"),
            Answer("powder coated", "is powder coated", "so that it never chips",
                   "with powder coating"),
        ),
        "extra": (
            Answer("night glow", "has night glow", "for walks after work",
                   "that I can see at night"),
            Answer("folding design", "has a folding design", "for the trunk of a car",
                   "that takes little room when folding it"),
            Answer("refill bag", "comes with a refill bag", "for three months",
                   "with a refill in the box"),
            Answer("vet endorsed", "is vet endorsed", "by a dozen clinics",
                   "that a vet would choose"),
        ),
        "calm": (
            Answer("silent clip", "has a silent clip", "for nervous animals",
                   "that is silent"),
            Answer("anxiety easing", "is anxiety easing", "in thunderstorms",
                   "against anxiety"),
            Answer("slow feeding", "is slow feeding", "good for the stomach",
                   "that makes it eat slow"),
            Answer("self warming", "is self warming", "without a cable",
                   "that is warming"),
        ),
    },
    (
        Kind("dog bed", "Dogs", 24, 120, ("color", "size"),
             ("cleaning", "toughness", "age", "stuff", "extra", "calm")),
        Kind("dog leash", "Dogs", 8, 36, ("color", "size"),
             ("cleaning", "toughness", "stuff", "extra", "calm")),
        Kind("cat tree", "Cats", 35, 180, ("color", "size"),
             ("cleaning", "toughness", "age", "stuff", "extra")),
        Kind("litter box", "Cats", 15, 70, ("color", "size"),
             ("cleaning", "toughness", "age", "extra", "calm")),
        Kind("feeding bowl", "Meals", 7, 34, ("color", "count"),
             ("cleaning", "toughness", "age", "stuff", "calm")),
        Kind("treat jar", "Meals", 9, 32, ("color", "weight"),
             ("cleaning", "toughness", "stuff", "extra", "calm")),
    ),
)  # fmt: skip

SPORTS = Department(
    "Sports",
    {
        "surface": (
            Answer("sweat proof", "is sweat proof", "and never slippery",
                   "that copes with sweat"),
            Answer("mold resistant", "is mold resistant", "in a damp locker",
                   "that will not mold in my bag"),
            Answer("extra grippy", "is extra grippy", "for bare feet and hands",
                   "with some extra grip"),
            Answer("tear resistant", "is tear resistant", "at every seam",
                   "that will not tear"),
        ),
        "place": (
            Answer("trail ready", "is trail ready", "for rock and mud",
                   "for the trail"),
            Answer("hotel gym", "suits a hotel gym", "made for the hotel gym",
                   "for the gym of a hotel"),
            Answer("open water", "is made for open water", "at home in open water",
                   "to use in open lakes and other water"),
            Answer("snow tested", "is snow tested", "far below zero",
                   "for days with snow"),
        ),
        "level": (
            Answer("beginner paced", "is beginner paced", "with a booklet",
                   "for a beginner"),
            Answer("competition legal", "is competition legal", "in every league",
                   "allowed in a competition"),
            Answer("coach designed", "is coach designed", "over three seasons",
                   "that a coach thought up"),
            Answer("rehab approved", "is rehab approved", "by two hospitals",
                   "for my rehab"),
        ),
        "packing": (
            Answer("shoulder strap", "has a shoulder strap", "with soft padding",
                   "to carry over the shoulder"),
            Answer("roll up", "can roll up", "roll up to the size of a bottle",
                   "that I can roll"),
            Answer("mesh bag", "comes with a mesh bag", "that dries fast",
                   "with a bag of mesh"),
            Answer("nested pieces", "has nested pieces", "that take no room",
                   "whose pieces fit together"),
        ),
        "build": (
            Answer("carbon core", "has a carbon core", "light and stiff",
                   "with carbon inside"),
            Answer("cork layer", "has a cork layer", "from Portugal",
                   "with cork"),
            Answer("latex rubber", "is made of latex rubber", "in several layers",
                   "of latex"),
            Answer("cast iron", "is made of cast iron", "poured in one piece",
                   "of iron"),
        ),
        "measure": (
            Answer("step counter", "has a step counter", "on the side",
                   "that counts every step"),
            Answer("printed scale", "has a printed scale", "that does not rub off",
                   "with a scale on it"),
            Answer("rep guide", "has a rep guide", "for twelve weeks",
                   "with a guide"),
            Answer("tempo beeper", "has a tempo beeper", "that can be muted",
                   "that keeps the tempo"),
        ),
    },
    (
        Kind("yoga mat", "Fitness", 15, 85, ("color", "width"),
             ("surface", "place", "level", "packing", "build")),
        Kind("jump rope", "Fitness", 8, 40, ("color", "cable"),
             ("surface", "level", "packing", "build", "measure")),
        Kind("dumbbell pair", "Strength", 18, 95, ("color", "weight"),
             ("surface", "place", "level", "build", "measure")),
        Kind("resistance band", "Strength", 9, 38, ("color", "count"),
             ("surface", "place", "level", "packing", "build", "measure")),
        Kind("camping tent", "Outdoors", 60, 280, ("color", "size"),
             ("surface", "place", "level", "packing", "build")),
        Kind("swim goggles", "Outdoors", 9, 45, ("color", "size"),
             ("surface", "place", "level", "packing", "measure")),
    ),
)  # fmt: skip

OFFICE = Department(
    "Office",
    {
        "paper": (
            Answer("bleed proof", "is bleed proof", "with any ink",
                   "where ink does not bleed"),
            Answer("acid buffered", "is acid buffered", "for a hundred years",
                   "without acid"),
            Answer("stone paper", "uses stone paper", "that no rain harms",
                   "made from stone"),
            Answer("dotted grid", "has a dotted grid", "in pale grey",
                   "with dotted pages"),
        ),
        "order": (
            Answer("color coded", "is color coded", "in six colors",
                   "with a color for everything"),
            Answer("label window", "has a label window", "on the spine",
                   "with room for a label"),
            Answer("tab dividers", "comes with tab dividers", "for twelve months",
                   "with a tab for each part"),
            Answer("lockable", "is lockable", "with two keys",
                   "I can lock"),
        ),
        "hand": (
            Answer("left handed", "is left handed", "for once",
                   "for the left hand"),
            Answer("cushioned grip", "has a cushioned grip", "for long letters",
                   "with a soft, cushioned hold"),
            Answer("smudge proof", "is smudge proof", "within a second",
                   "that does not smudge"),
            Answer("whisper quiet", "is whisper quiet", "in the library",
                   "that is quiet"),
        ),
        "nature": (
            Answer("forest certified", "is forest certified", "from root to shelf",
                   "from a well kept forest"),
            Answer("ocean plastic", "is made of ocean plastic", "collected by fishers",
                   "out of plastic from the sea"),
            Answer("compostable", "is compostable", "staples aside",
                   "for the compost afterwards"),
            Answer("solvent free", "is solvent free", "and smells of nothing",
                   "without solvent"),
        ),
        "place": (
            Answer("desk clamp", "has a desk clamp", "for tops up to two inches",
                   "that I can clamp on"),
            Answer("door hook", "has a door hook", "that needs no drill",
                   "to hang on a door"),
            Answer("pocket format", "has a pocket format", "for short trips",
                   "for my pocket"),
            Answer("drawer insert", "works as a drawer insert", "a drawer insert of standard depth",
                   "to put into a drawer"),
        ),
        "extra": (
            Answer("gift wrapped", "comes gift wrapped", "with a card",
                   "as a gift"),
            Answer("two year supply", "is a two year supply", "a two year supply in one box",
                   "that lasts two years"),
            Answer("ribbon marker", "has a ribbon marker", "in silk",
                   "with a ribbon"),
            Answer("engraved name", "has an engraved name", "of up to ten letters",
                   "with a name on it"),
        ),
    },
    (
        Kind("desk organizer", "Desk", 12, 60, ("color", "size"),
             ("order", "nature", "place", "extra", "hand")),
        Kind("paper tray", "Desk", 10, 48, ("color", "count"),
             ("order", "hand", "nature", "place", "extra")),
        Kind("lined notebook", "Writing", 6, 28, ("color", "count"),
             ("paper", "order", "nature", "place", "extra")),
        Kind("fountain pen", "Writing", 9, 90, ("color", "finish"),
             ("hand", "nature", "place", "extra", "order")),
        Kind("ring binder", "Filing", 5, 24, ("color", "count"),
             ("paper", "order", "nature", "hand", "extra")),
        Kind("file cabinet", "Filing", 70, 260, ("color", "width"),
             ("order", "hand", "nature", "place", "extra")),
    ),
)  # fmt: skip

DEPARTMENTS = (KITCHEN, CLOTHING, BEAUTY, ELECTRONICS, FURNITURE)
"""What the shop of all levels but `ood` sells."""
HELD_OUT = (PETS, SPORTS, OFFICE)
"""What only the shop of `ood` sells."""

SYLLABLES = (
    ("bar", "cal", "dor", "fen", "gal", "hav", "kel", "lum", "mor", "nor", "pel", "quin", "ros",
     "sel", "tor", "vel", "wen", "zan"),
    ("a", "e", "i", "o", "ami", "eri", "ona", "uli"),
    ("dan", "ko", "lio", "mark", "nex", "ra", "sen", "tis", "va", "wyn"),
)  # fmt: skip
"""Brand names are made of these, one of each."""

SERIES = (
    "Alder", "Amber", "Arbor", "Aster", "Atlas", "Basalt", "Beacon", "Birch", "Breeze", "Canyon",
    "Cedar", "Cirrus", "Clover", "Comet", "Cove", "Delta", "Dune", "Ember", "Falcon", "Fjord",
    "Flint", "Glacier", "Harbor", "Haven", "Heron", "Horizon", "Juniper", "Lagoon", "Lark",
    "Laurel", "Linden", "Lumen", "Lynx", "Maple", "Meadow", "Meridian", "Mesa", "Mistral", "Nimbus",
    "Nova", "Oasis", "Orbit", "Osprey", "Pebble", "Pine", "Prairie", "Quartz", "Raven", "Ridge",
    "River", "Sierra", "Sparrow", "Summit", "Tern", "Thistle", "Tundra", "Vale", "Willow", "Wren",
    "Zephyr",
)  # fmt: skip
"""Names of a line's models."""
