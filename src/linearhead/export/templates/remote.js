// The answers come from the server that sent this page. A token, where one is needed, stands after the # of the address,
// which browsers never send.
const ASKED = JSON.parse($("model").textContent);
const TOKEN = new URLSearchParams(location.hash.slice(1)).get("token");
const UNLIKE = 0.01; // share of trained pictures below which one is called unlike all of them

function unanswered(why) { return Object.assign(new Error(why), { label: "No answer" }); }

async function classify(file) {
  await file.slice(0, 1).arrayBuffer().catch(() => { throw new Error("This cannot be read as a file; of a folder, drop the pictures in it."); });
  const query = new URLSearchParams({ regions: "true" });
  if (ASKED.coverage) query.set("coverage", ASKED.coverage);
  const headers = { "Content-Type": "application/octet-stream" };
  if (TOKEN) headers.Authorization = "Bearer " + TOKEN;
  const response = await fetch("/predict?" + query, { method: "POST", body: file, headers }).catch(() => {
    throw unanswered(navigator.onLine ? "The server could not be reached, or the network is too slow for this picture." : "No network; try again when there is one.");
  });
  const told = await response.json().catch(() => ({ error: "The server gave no answer." }));
  if (response.status === 503) throw unanswered("The server is busy; try again in a moment.");
  if (response.status === 401) throw unanswered("A token is needed: open this page as …/#token=TOKEN.");
  const answer = told.predictions ? told.predictions[0] : told;
  if (answer.error) throw new Error(answer.error);
  const notes = [];
  if (answer.labels) {
    const sets = answer.labels.length ? answer.labels.join(", ") : "none fits, ask a person";
    notes.push({ text: `Set with ${+(100 * ASKED.coverage).toFixed(1)} % coverage: ${sets}` });
  }
  if (answer.unlike !== null && answer.unlike < UNLIKE) notes.push({ text: "Unlike anything it was trained on", warn: true });
  const chances = Object.entries(answer.probabilities || {}).sort((a, b) => b[1] - a[1]);
  return { label: answer.label, chances, notes, regions: ASKED.overlay ? answer.regions : null };
}
