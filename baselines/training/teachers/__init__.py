"""Teachers: what the scripted players of a family know; see `baselines.training.demonstrations`."""

from baselines.training.demonstrations import Teacher
from baselines.training.teachers.minesweeper import MinesweeperTeacher
from baselines.training.teachers.sokoban import SokobanTeacher
from baselines.training.teachers.webshop import WebShopTeacher

TEACHERS: dict[str, Teacher] = {
    "minesweeper": MinesweeperTeacher(),
    "sokoban": SokobanTeacher(),
    "webshop": WebShopTeacher(),
}
"""Family -> teacher; practice levels of a family have the same one."""
