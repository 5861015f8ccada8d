"""One line for each family: its name and where its class is. Strings only; nothing is imported
here."""

from lamer_bench.registry import ENVIRONMENTS

ENVIRONMENTS.register("minesweeper", "environments.minesweeper:Minesweeper")
ENVIRONMENTS.register("sokoban", "environments.sokoban:Sokoban")
ENVIRONMENTS.register("webshop", "environments.webshop:WebShop")
ENVIRONMENTS.register("webshop-browser", "environments.webshop.browser:WebShopBrowser")
