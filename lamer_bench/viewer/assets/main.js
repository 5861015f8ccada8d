// The address is the state: what is after # names filters, trial, episode and turn, so that every
// view has a link of its own and Back works.

const PAGE = document.getElementById("page");
const FILTERS = ["kind", "result", "invalid", "text", "page"];
const PLACE = ["task", "repeat", "episode", "turn"];

let openIndex = -1;
let openTrialContent = null;

function state() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

// The address of the present state with changes; an open trial brings its own place and kind.
function addressOf(changes) {
  const next = { ...state() };
  if ("task" in changes) {
    for (const name of PLACE) delete next[name];
    delete next.of;
    if (changes.kind) changes = { ...changes, of: changes.kind, kind: next.kind };
  }
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...next, ...changes })) {
    if (value) words.set(name, value);
  }
  return `#${words}`;
}

function filter(name, value) {
  const changes = name === "page" ? { page: value } : { page: "", [name]: value };
  history.replaceState(null, "", addressOf(changes));
  PAGE.querySelector(".list").replaceChildren(...drawList(state()));
}

function openTrial(index) {
  location.hash = addressOf(keyOf(ROWS[index]));
}

// The earlier or later trial among those that the filters show.
function step(by) {
  const shown = shownRows(state()).map((one) => one.index);
  const place = shown.indexOf(openIndex);
  const next = place < 0 ? shown[0] : shown[place + by];
  if (next !== undefined) openTrial(next);
}

async function render() {
  const now = state();
  if (!now.task) {
    openIndex = -1;
    PAGE.replaceChildren(drawTable(now));
    return;
  }
  const index = indexOf({ task: now.task, kind: now.of, repeat: now.repeat });
  if (index < 0) {
    openIndex = -1;
    PAGE.replaceChildren(
      make("p", { class: "note", role: "alert" }, `There is no ${now.of || "trial"} of ${now.task} here. `,
        make("a", { href: addressOf({ task: "" }) }, "All trials")),
    );
    return;
  }
  if (index !== openIndex) {
    openIndex = index;
    try {
      openTrialContent = await readTrial(index);
    } catch (error) {
      openIndex = -1;
      PAGE.replaceChildren(make("p", { class: "note", role: "alert" }, String(error.message)));
      return;
    }
    if (openIndex !== index) return; // another was asked for meanwhile
    PAGE.replaceChildren(drawTrial(index, openTrialContent));
    scrollTo(0, 0);
  }
  mark(Number(now.episode || 1) - 1, Number(now.turn || 1) - 1);
}

// Which turn is chosen --------------------------------------------------------------------------

function mark(episode, turn) {
  PAGE.querySelector(".turn.chosen")?.classList.remove("chosen");
  const column = PAGE.querySelector(`[data-episode="${episode}"]`);
  const card = column?.querySelector(`[data-turn="${turn}"]`);
  if (!card) return;
  card.classList.add("chosen");
  if (episode || turn) card.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function chosen() {
  const card = PAGE.querySelector(".turn.chosen");
  return {
    card,
    turn: card ? Number(card.dataset.turn) : 0,
    episode: card ? Number(card.closest(".episode").dataset.episode) : 0,
  };
}

function choose(episode, turn) {
  const episodes = openTrialContent.episodes;
  const to = Math.max(0, Math.min(episode, episodes.length - 1));
  const last = episodes[to] ? episodes[to].turns.length : 0;
  const at = Math.max(0, Math.min(turn, last));
  history.replaceState(null, "", addressOf({ episode: String(to + 1), turn: String(at + 1) }));
  mark(to, at);
}

function chooseDifference() {
  const { episodes } = openTrialContent;
  const { episode } = chosen();
  const order = episodes.map((_, i) => (episode + (chosen().turn === episodes[episode]?.differs ? 1 : 0) + i) % episodes.length);
  const found = order.find((one) => episodes[one].differs !== null);
  if (found !== undefined) choose(found, episodes[found].differs);
}

// Keys ------------------------------------------------------------------------------------------

const TRIAL_KEYS = {
  ArrowUp: () => choose(chosen().episode, chosen().turn - 1),
  ArrowDown: () => choose(chosen().episode, chosen().turn + 1),
  ArrowLeft: () => choose(chosen().episode - 1, chosen().turn),
  ArrowRight: () => choose(chosen().episode + 1, chosen().turn),
  d: chooseDifference,
  o: () => toggle(chosen().card?.querySelectorAll(".answer") || []),
  a: () => toggle(PAGE.querySelectorAll(".answer")),
  n: () => step(1),
  p: () => step(-1),
  Escape: () => (location.hash = addressOf({ task: "" })),
};

const TABLE_KEYS = {
  ArrowDown: () => moveInTable(1),
  ArrowUp: () => moveInTable(-1),
  "/": () => PAGE.querySelector('[name="text"]').focus(),
};

function toggle(parts) {
  const open = [...parts].some((part) => !part.open);
  for (const part of parts) part.open = open;
}

function moveInTable(by) {
  const links = [...PAGE.querySelectorAll(".rows a")];
  const place = links.indexOf(document.activeElement);
  links[Math.max(0, Math.min(place + by, links.length - 1))]?.focus();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const act = (openIndex >= 0 ? TRIAL_KEYS : TABLE_KEYS)[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});
addEventListener("hashchange", render);
render();
