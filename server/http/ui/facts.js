// What is to be said of a run, and which heads differ most: which of many are
// shown.

// The subjects that a person asks for first, by the topics of facts; all facts
// are in sinkctl summary and in the report.
const SUBJECTS = [
  { title: "What goes together", topics: ["diagnosis"] },
  { title: "Onsets", topics: ["onset"] },
  { title: "Jumps", topics: ["jump"] },
  { title: "Heads", topics: ["switching", "states"] },
  { title: "Loss", topics: ["loss"] },
];
const MOST_SENTENCES = 5;

// Whether a fact is about a domain, about a class of its rows, or about none.
function isAbout(fact, domain) {
  return !fact.domain || fact.domain === domain || fact.domain.startsWith(domain + "/");
}

// [{title, facts, more}]: of each subject those of the domain, where it has
// some, and how many there are beside. Single heads are left to the map.
function stripOf(facts, domain) {
  return SUBJECTS.flatMap(({ title, topics }) => {
    const all = topics.flatMap(topic => facts.filter(f => f.topic === topic && f.head === null));
    const own = all.filter(f => isAbout(f, domain));
    const shown = (own.length ? own : all).slice(0, MOST_SENTENCES);
    return shown.length ? [{ title, facts: shown, more: all.length - shown.length }] : [];
  });
}

// The rows of `contrast` that differ most, in either direction; those of which
// it is not known are left out.
function mostDifferent(rows, most) {
  return rows.filter(row => row.difference !== null)
    .sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference)).slice(0, most);
}

// The intervals in which the metric emerged or jumped in the domain, for its
// chart: [{after, by, after_tokens, by_tokens, text}].
function intervalsOf(facts, metric, domain) {
  return facts.filter(f => (f.topic === "onset" || f.topic === "jump") && f.metric === metric &&
                           f.domain === domain && f.after_step !== null && f.by_step !== null)
    .map(f => ({ after: f.after_step, by: f.by_step, after_tokens: f.after_tokens, by_tokens: f.by_tokens, text: f.text }));
}
