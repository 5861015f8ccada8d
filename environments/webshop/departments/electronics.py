"""Electronics: audio, charging, desk and home."""

from environments.webshop.goods import Answer, Department, Kind

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
