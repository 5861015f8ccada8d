"""One line for each agent: its name and where its class is. Strings only; nothing is imported
here."""

from lamer_bench.registry import AGENTS

AGENTS.register("random", "baselines.random_agent:RandomAgent")
AGENTS.register("oracle", "baselines.oracle:OracleAgent")
AGENTS.register("explorer", "baselines.explorer:ExplorerAgent")
AGENTS.register("human", "baselines.human:HumanAgent")
AGENTS.register("lamer", "baselines.language_agent:LamerAgent")
AGENTS.register("supervised", "baselines.language_agent:SupervisedAgent")
AGENTS.register("ppo", "baselines.language_agent:PpoAgent")
AGENTS.register("rloo", "baselines.language_agent:RlooAgent")
AGENTS.register("grpo", "baselines.language_agent:GrpoAgent")
AGENTS.register("gigpo", "baselines.language_agent:GigpoAgent")
AGENTS.register("zero-shot", "baselines.prompting:ZeroShotAgent")
AGENTS.register("react", "baselines.prompting:ReactAgent")
AGENTS.register("reflexion", "baselines.prompting:ReflexionAgent")
AGENTS.register("local", "baselines.local_agent:LocalAgent")
AGENTS.register("random-first", "baselines.random_first:RandomFirst")
