// Where trials come from: the page itself, or the server that served it.

const CONTENT = JSON.parse(document.getElementById("content").textContent);
const ROWS = CONTENT.rows;
const SETTINGS = CONTENT.settings;

// {episodes, strings} of a trial.
async function readTrial(index) {
  if (CONTENT.trials) return { episodes: CONTENT.trials[index], strings: CONTENT.strings };
  const answer = await fetch(`trial/${index}.json`);
  if (!answer.ok) throw new Error(`The server says ${answer.status} for trial ${index}.`);
  return answer.json();
}

function keyOf(row) {
  return { task: row.task, kind: row.kind, repeat: String(row.repeat) };
}

function indexOf(key) {
  return ROWS.findIndex(
    (row) =>
      row.task === key.task &&
      row.kind === (key.kind || "trial") &&
      row.repeat === Number(key.repeat || 0),
  );
}

function resultOf(row) {
  if (row.void) return "void";
  if (row.kind === "control") {
    return `won ${row.ends.filter((end) => end === "won").length} of ${row.ends.length}`;
  }
  return row.won ? `won in episode ${row.won}` : "lost";
}

const END_WORDS = { won: "won", lost: "lost", turn_limit: "out of turns" };
const END_SIGNS = { won: "✓", lost: "✗", turn_limit: "…" };
