"""Beauty: skin care, bath, hair care and makeup."""

from environments.webshop.goods import Answer, Department, Kind

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
