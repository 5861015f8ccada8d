"""Every exception of the project, on one page.

LamerBenchError             a message for a person: what was given, what would be right, the way out
├── UnknownNameError        no environment, agent, level, split or suite of that name
├── TaskError               a task id that cannot be built
├── SettingError            a setting with an impossible value, or two that exclude each other
├── RecordError             a run folder that cannot be read or written
├── AgentError              an agent that broke its contract (the trial becomes void)
├── BrowserError            a browser that stopped under an environment (the trial becomes void)
├── ContractError           an environment or agent class that fails `lamer-bench check`
├── MissingExtraError       an optional package that is not installed
└── ShadowedPackageError    another package hides one of ours
"""


class LamerBenchError(Exception):
    """Base of all errors whose message is meant for a person; the command line exits with 2."""


class UnknownNameError(LamerBenchError, LookupError):
    """A name that no registry entry carries; the message names the nearest one."""


class TaskError(LamerBenchError, ValueError):
    """A task id that does not parse, or whose instance cannot be drawn."""


class SettingError(LamerBenchError, ValueError):
    """A setting outside its range or at odds with another."""


class RecordError(LamerBenchError):
    """A run folder that is damaged, of another version, or not writable."""


class AgentError(LamerBenchError):
    """An agent that raised, hung, or answered with something that is not text."""


class BrowserError(LamerBenchError):
    """A browser that could not be started, or that stopped in the middle of an episode."""


class ContractError(LamerBenchError, AssertionError):
    """A class that does not keep the environment or agent contract."""


class MissingExtraError(LamerBenchError, ImportError):
    """An optional dependency is absent; the message holds the install command."""


class ShadowedPackageError(LamerBenchError, ImportError):
    """`environments` or `baselines` on the path is somebody else's package."""
