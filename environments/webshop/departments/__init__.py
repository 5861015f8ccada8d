"""The departments of the shop: what it sells, one file each, written for this shop."""

from environments.webshop.departments.beauty import BEAUTY
from environments.webshop.departments.clothing import CLOTHING
from environments.webshop.departments.electronics import ELECTRONICS
from environments.webshop.departments.furniture import FURNITURE
from environments.webshop.departments.kitchen import KITCHEN
from environments.webshop.departments.office import OFFICE
from environments.webshop.departments.pets import PETS
from environments.webshop.departments.sports import SPORTS

DEPARTMENTS = (KITCHEN, CLOTHING, BEAUTY, ELECTRONICS, FURNITURE)
"""What the shop of all levels but `ood` sells."""
HELD_OUT = (PETS, SPORTS, OFFICE)
"""What only the shop of `ood` sells."""
