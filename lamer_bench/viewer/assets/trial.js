// One trial: its episodes side by side, the reflection between two of them, turn beside turn.

function drawTrial(index, trial) {
  const row = ROWS[index];
  const names = row.kind === "control" ? "the control, memory wiped" : `memory ${row.memory}`;
  const columns = trial.episodes.flatMap((episode, number) => [
    drawEpisode(trial, episode, number),
    episode.reflection ? drawReflection(trial, episode, number) : null,
  ]);
  return make(
    "section",
    { class: "trial" },
    make(
      "header",
      {},
      make(
        "nav",
        {},
        make("a", { href: addressOf({ task: "" }), id: "back" }, "‹ all trials"),
        make("button", { type: "button", onclick: () => step(-1) }, "earlier trial"),
        make("button", { type: "button", onclick: () => step(1) }, "later trial"),
      ),
      make("h1", {}, row.task),
      make(
        "p",
        { class: "about" },
        `${SETTINGS.agent}, ${names}, repeat ${row.repeat}: ${resultOf(row)}`,
      ),
      row.void ? make("p", { class: "note" }, row.void) : null,
      CONTENT.note ? make("p", { class: "note" }, CONTENT.note) : null,
      CONTENT.rules ? folded("Rules", () => make("pre", { class: "text" }, CONTENT.rules)) : null,
    ),
    make("div", { class: "episodes" }, columns),
    make("p", { class: "keys" }, KEYS_HELP),
  );
}

const KEYS_HELP =
  "Keys: ↑ ↓ turn, ← → episode, d first differing move, o fold answer, a fold all answers, " +
  "p n earlier and later trial, Esc back to the table.";

function drawEpisode(trial, episode, number) {
  const sum = episode.turns.reduce((total, turn) => total + turn[3], 0);
  const last = episode.turns.length;
  return make(
    "article",
    { class: `episode ${episode.end}`, "data-episode": number },
    make(
      "h2",
      {},
      `Episode ${number + 1} `,
      make("span", { class: `end ${episode.end}` }, END_WORDS[episode.end]),
      make("small", {}, ` ${plural(last, "turn")}, return ${signed(sum)}`),
    ),
    episode.turns.map((_, turn) => drawTurn(trial, episode, number, turn)),
    make(
      "div",
      { class: "turn final", "data-turn": last },
      make("h3", {}, "What it led to"),
      drawObservation(textOf(trial, episode.final), seenAt(trial, episode, last - 1), CONTENT.symbols),
    ),
  );
}

function drawTurn(trial, episode, number, turn) {
  const [, answer, action, reward, promptTokens, answerTokens] = episode.turns[turn];
  const tokens = answerTokens ? `, ${plural(answerTokens, "token")}` : "";
  const read = promptTokens ? `, ${plural(promptTokens, "token")}` : "";
  return make(
    "div",
    {
      class: `turn${episode.differs === turn ? " differs" : ""}`,
      "data-turn": turn,
      onclick: (event) => {
        if (!event.target.closest("details")) choose(number, turn);
      },
    },
    make(
      "h3",
      {},
      `Turn ${turn + 1}`,
      episode.differs === turn
        ? make("span", { class: "mark" }, `first move unlike episode ${number}`)
        : null,
    ),
    drawObservation(
      seenAt(trial, episode, turn),
      turn ? seenAt(trial, episode, turn - 1) : null,
      CONTENT.symbols,
    ),
    make(
      "p",
      { class: "move" },
      action === null
        ? make("span", { class: "invalid" }, "not an action")
        : make("span", { class: "action" }, `→ ${textOf(trial, action)}`),
      make("span", { class: reward > 0 ? "reward good" : "reward" }, signed(reward)),
    ),
    folded(`raw answer${tokens}`, () => make("pre", { class: "raw" }, textOf(trial, answer)), "fold answer"),
    folded(
      `what it was told${read}`,
      () => make("pre", { class: "raw" }, toldAt(trial, number, turn)),
      "fold told",
    ),
  );
}

function drawReflection(trial, episode, number) {
  const [text, promptTokens, answerTokens] = episode.reflection;
  const tokens = promptTokens || answerTokens
    ? `${promptTokens.toLocaleString("en")} tokens read, ${answerTokens.toLocaleString("en")} written`
    : "";
  return make(
    "aside",
    { class: "reflection", "data-after": number },
    make("h2", {}, `Reflection after episode ${number + 1}`),
    make("pre", { class: "note-to-self" }, textOf(trial, text)),
    make("small", {}, tokens),
  );
}

function textOf(trial, number) {
  return number === null ? null : trial.strings[number];
}

function seenAt(trial, episode, turn) {
  return turn < 0 ? null : textOf(trial, episode.turns[turn][0]);
}

// All that the protocol let the agent know at a turn, in order. How an agent words its prompt is its
// own; it can hold nothing else.
function toldAt(trial, number, turn) {
  const row = CONTENT.settings;
  const memory = ROWS[openIndex].memory;
  const parts = [CONTENT.rules ? `Rules:\n${CONTENT.rules}` : ""];
  trial.episodes.slice(0, number).forEach((past, position) => {
    if (memory === "history" || memory === "both") {
      parts.push(`Episode ${position + 1}, not solved:\n${wayOf(trial, past, past.turns.length)}`);
      parts.push(`It ended here:\n${textOf(trial, past.final) ?? "(not shown)"}`);
    }
    if (past.reflection && (memory === "reflection" || memory === "both")) {
      parts.push(`Its reflection after episode ${position + 1}:\n${textOf(trial, past.reflection[0])}`);
    }
  });
  const episode = trial.episodes[number];
  const title = memory === "none" ? "This episode" : `Episode ${number + 1} of ${row.episodes}`;
  parts.push(`${title}, so far:\n${wayOf(trial, episode, turn) || "(nothing yet)"}`);
  parts.push(`Now:\n${seenAt(trial, episode, turn) ?? "(not shown)"}`);
  return parts.filter(Boolean).join("\n\n");
}

function wayOf(trial, episode, count) {
  return episode.turns
    .slice(0, count)
    .map((one) => `${textOf(trial, one[0]) ?? "(not shown)"}\n> ${textOf(trial, one[1])}`)
    .join("\n\n");
}
