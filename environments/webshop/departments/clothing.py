"""Clothing: footwear, outerwear, tops and bottoms."""

from environments.webshop.goods import Answer, Department, Kind

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
