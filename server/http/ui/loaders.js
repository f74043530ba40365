// Asking the server, so that the answer shown is the one last asked for.

// What the server itself refused: the rest of the page goes on.
class Refusal extends Error {}
// No answer at all.
class Unreachable extends Error {}

// A server that has not answered for so long does not answer.
const PATIENCE_MS = 20000;

// Wraps load(signal, ...arguments). A call aborts the one before it, whose
// answer, early or late, good or bad, is dropped; so does cancel(). Resolves to
// {answer}, or to null for a call that is not the last any more.
function latest(load) {
  let asked = 0, controller = null, timer = null;
  const cancel = () => {
    asked++;
    clearTimeout(timer);
    if (controller) controller.abort();
  };
  const call = async (...parameters) => {
    cancel();
    const mine = asked, own = controller = new AbortController();
    timer = setTimeout(() => own.abort(), PATIENCE_MS);
    try {
      const answer = await load(own.signal, ...parameters);
      return mine === asked ? { answer } : null;
    } catch (error) {
      if (mine !== asked) return null;
      throw error;
    } finally {
      if (mine === asked) clearTimeout(timer);
    }
  };
  return Object.assign(call, { cancel });
}

// The answer of /api/v1/`endpoint`. Parameters that are undefined or null are
// left out. Throws Refusal or Unreachable.
async function ask(fetcher, endpoint, parameters, signal) {
  const query = new URLSearchParams();
  for (const key in parameters) {
    if (parameters[key] !== undefined && parameters[key] !== null) query.set(key, parameters[key]);
  }
  let response, body;
  try {
    response = await fetcher(`/api/v1/${endpoint}?${query}`, { cache: "no-cache", signal });
    body = await response.json();
  } catch (error) {
    throw new Unreachable(error.message);
  }
  if (!response.ok) throw new Refusal(body.error ? body.error.message : response.statusText);
  return body;
}

function records(table) {
  return table.rows.map(row => Object.fromEntries(table.columns.map((c, i) => [c, row[i]])));
}

// Published points (records of `references`) as an answer of `series` over `x`: a
// column for each model, layer and head. Points that do not say their x are left
// out.
function referenceSeries(points, x) {
  const columns = ["x"], rows = new Map();
  for (const p of points) {
    const at = x === "tokens" ? p.tokens : p.step === null ? null : x === "step" ? p.step : Math.log10(1 + p.step);
    if (at === null) continue;
    const name = `${p.model}${p.layer === null ? "" : " L" + p.layer}${p.head === null ? "" : "H" + p.head}`;
    if (!columns.includes(name)) columns.push(name);
    if (!rows.has(at)) rows.set(at, [at]);
    const row = rows.get(at), i = columns.indexOf(name);
    if (row[i] === undefined) row[i] = p.value;
  }
  return { columns, rows: [...rows.values()].sort((a, b) => a[0] - b[0]) };
}

// The answers of `series` as lineChart's data. A step that only one of them has
// is undefined in the others: passed over, where null breaks a line.
function joinSeries(answers) {
  const xs = [...new Set(answers.flatMap(a => a.rows.map(row => row[0])))].sort((a, b) => a - b);
  const lines = answers.flatMap(a => {
    const rows = new Map(a.rows.map(row => [row[0], row]));
    return a.columns.slice(1).map((name, i) => ({
      name, values: xs.map(x => { const row = rows.get(x); return row && row[i + 1]; }),
    }));
  });
  return { xs, lines };
}
