// Observations: lines that are rows of single characters become a board, all else stays text.

const FEWEST_ROWS = 3;
const FEWEST_COLUMNS = 3;

function cellsOf(line) {
  const cells = line.split(" ");
  return cells.length >= FEWEST_COLUMNS && cells.every((cell) => [...cell].length === 1)
    ? cells
    : null;
}

// [{text} or {rows}], in order.
function partsOf(observation) {
  const parts = [];
  let text = [];
  let rows = [];
  const close = () => {
    if (rows.length >= FEWEST_ROWS) {
      if (text.length) parts.push({ text: text.join("\n") });
      parts.push({ rows });
      text = [];
    } else {
      text.push(...rows.map((row) => row.join(" ")));
    }
    rows = [];
  };
  for (const line of observation.split("\n")) {
    const cells = cellsOf(line);
    if (!cells || (rows.length && cells.length !== rows[0].length)) close();
    if (cells) rows.push(cells);
    else text.push(line);
  }
  close();
  if (text.length) parts.push({ text: text.join("\n") });
  return parts;
}

function boardOf(observation) {
  return observation === null ? null : partsOf(observation).find((part) => part.rows)?.rows || null;
}

// The observation as elements; cells that were not so in `earlier` are marked.
function drawObservation(observation, earlier, symbols) {
  if (observation === null) {
    return [make("p", { class: "missing" }, "What was seen here cannot be brought back.")];
  }
  const before = earlier === null ? null : boardOf(earlier);
  return partsOf(observation).map((part) =>
    part.rows
      ? drawBoard(part.rows, before, symbols)
      : make("pre", { class: "text", tabindex: "-1" }, part.text),
  );
}

function drawBoard(rows, before, symbols) {
  const isSameShape =
    before && before.length === rows.length && before[0].length === rows[0].length;
  const hasRoles = Object.keys(symbols).length > 0;
  const board = make("table", {
    class: hasRoles ? "board" : "board plain",
    "aria-label": rows.map((row) => row.join(" ")).join("; "),
  });
  rows.forEach((row, y) => {
    const line = make("tr", {});
    row.forEach((glyph, x) => {
      const isNew = isSameShape && before[y][x] !== glyph;
      const role = symbols[glyph] || (/[1-9]/.test(glyph) ? `number-${glyph}` : "other");
      line.append(
        make(
          "td",
          { class: `is-${role}${isNew ? " new" : ""}`, title: `row ${y + 1}, column ${x + 1}` },
          glyph,
        ),
      );
    });
    board.append(line);
  });
  return board;
}
