// The table of trials and its filters. The filters live in the address (see main.js).

const ROWS_ON_A_PAGE = 100;

function passes(row, filters) {
  if (filters.kind !== "all" && row.kind !== (filters.kind || "trial")) return false;
  if (filters.text && !row.task.includes(filters.text)) return false;
  if (filters.invalid && !row.invalid) return false;
  const result = filters.result || "all";
  if (result === "all") return true;
  if (result === "void") return Boolean(row.void);
  if (row.void) return false;
  return result === "lost" ? row.won === 0 : `won-${row.won}` === result;
}

function shownRows(filters) {
  return ROWS.map((row, index) => ({ row, index })).filter((one) => passes(one.row, filters));
}

function drawTable(state) {
  return make(
    "section",
    { class: "trials" },
    drawHead(),
    drawFilters(state),
    make("div", { class: "list" }, drawList(state)),
  );
}

// The rows that pass, without the filters above them: those stay while someone types into them.
function drawList(state) {
  const shown = shownRows(state);
  const lastPage = Math.max(0, Math.ceil(shown.length / ROWS_ON_A_PAGE) - 1);
  const page = Math.min(Number(state.page || 0), lastPage);
  const part = shown.slice(page * ROWS_ON_A_PAGE, (page + 1) * ROWS_ON_A_PAGE);
  const count = `${shown.length.toLocaleString("en")} of ${plural(ROWS.length, "trial")}`;
  return [
    make("output", { class: "count" }, count),
    make(
      "div",
      { class: "wide" },
      make(
        "table",
        { class: "rows" },
        make("thead", {}, make("tr", {}, COLUMNS.map(([name]) => make("th", {}, name)))),
        make("tbody", {}, part.map((one) => drawRow(one))),
      ),
    ),
    shown.length ? null : make("p", { class: "empty" }, "No trial passes these filters."),
    lastPage ? drawPages(page, lastPage) : null,
  ].filter(Boolean);
}

const COLUMNS = [
  ["task", (row) => row.task],
  ["", (row) => (row.kind === "control" ? "control" : "")],
  ["repeat", (row) => String(row.repeat), "number"],
  ["episodes", (row) => row.ends.map((end) => drawEnd(end))],
  ["result", (row) => resultOf(row)],
  ["turns", (row) => String(row.turns), "number"],
  ["not actions", (row) => (row.invalid ? String(row.invalid) : ""), "number"],
  ["reflections", (row) => (row.reflections ? String(row.reflections) : ""), "number"],
  ["best return", (row) => (row.best === null ? "" : signed(row.best)), "number"],
  ["tokens", (row) => (row.tokens ? row.tokens.toLocaleString("en") : ""), "number"],
];

function drawEnd(end) {
  return make("span", { class: `end ${end}`, title: END_WORDS[end] }, END_SIGNS[end]);
}

function drawRow({ row, index }) {
  const line = make("tr", {
    "data-index": index,
    class: row.void ? "void" : "",
    onclick: () => openTrial(index),
  });
  COLUMNS.forEach(([, cell, className], column) => {
    const content = cell(row);
    const link = make("a", { href: addressOf({ ...keyOf(row) }) }, content);
    line.append(make("td", { class: className || "" }, column ? content : link));
  });
  return line;
}

function drawHead() {
  const { scores } = CONTENT;
  const ks = Object.keys(scores.pass_at);
  const cell = (name, k) => {
    const value = scores[name][k];
    const ends = scores[`${name}_ci`]?.[k];
    return make("td", {
      title: ends ? `95 % interval ${ends.map((end) => end.toFixed(3)).join(" to ")}` : "",
    }, value === null || value === undefined ? "–" : value.toFixed(3));
  };
  const line = (title, name) =>
    make("tr", {}, make("th", { scope: "row" }, title), ks.map((k) => cell(name, k)));
  return make(
    "header",
    {},
    make("h1", {}, `${SETTINGS.agent} on ${SETTINGS.environment}`),
    make(
      "p",
      { class: "about" },
      `${SETTINGS.split}, ${plural(SETTINGS.tasks, "task")}, ${plural(SETTINGS.episodes, "episode")}` +
        `, memory ${SETTINGS.memory}, run ${CONTENT.run}` +
        (scores.is_complete ? "" : ", incomplete"),
    ),
    make(
      "table",
      { class: "scores" },
      make("tr", {}, make("th", {}), ks.map((k) => make("th", { scope: "col" }, `k = ${k}`))),
      line("pass@k", "pass_at"),
      SETTINGS.control_episodes ? line("memory wiped", "independent_pass_at") : null,
    ),
    CONTENT.note ? make("p", { class: "note", role: "alert" }, CONTENT.note) : null,
    CONTENT.rules ? folded("Rules", () => make("pre", { class: "text" }, CONTENT.rules)) : null,
  );
}

function drawFilters(state) {
  const wins = Array.from({ length: SETTINGS.episodes }, (_, j) => [
    `won-${j + 1}`,
    `won in episode ${j + 1}`,
  ]);
  const results = [["all", "all results"], ...wins, ["lost", "lost"], ["void", "void"]];
  const kinds = [["trial", "trials"], ["control", "controls (memory wiped)"], ["all", "both"]];
  const choice = (name, options, fallback) =>
    make(
      "select",
      { name, "aria-label": name, onchange: (event) => filter(name, event.target.value) },
      options.map(([value, words]) =>
        make("option", { value, selected: (state[name] || fallback) === value }, words),
      ),
    );
  return make(
    "form",
    { class: "filters", onsubmit: (event) => event.preventDefault() },
    choice("kind", kinds, "trial"),
    choice("result", results, "all"),
    make(
      "label",
      {},
      make("input", {
        type: "checkbox",
        name: "invalid",
        checked: Boolean(state.invalid),
        onchange: (event) => filter("invalid", event.target.checked ? "1" : ""),
      }),
      " with answers that were no action",
    ),
    make("input", {
      type: "search",
      name: "text",
      placeholder: "part of a task id",
      "aria-label": "part of a task id",
      value: state.text || "",
      oninput: (event) => filter("text", event.target.value),
    }),
  );
}

function drawPages(page, lastPage) {
  const link = (number, words) =>
    make("button", {
      type: "button",
      disabled: number < 0 || number > lastPage,
      onclick: () => filter("page", String(number)),
    }, words);
  return make(
    "nav",
    { class: "pages" },
    link(page - 1, "‹ earlier"),
    ` page ${page + 1} of ${lastPage + 1} `,
    link(page + 1, "later ›"),
  );
}
