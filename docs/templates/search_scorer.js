// Scores of the site's search: pages that answer a question stand before records.
var Scorer = {
  score: ([page, , , , score]) => {
    if (page.startsWith("guide/")) return score + 10;
    if (/^(start|methods\/.*)$/.test(page)) return score + 6;
    if (/^(benchmarks|results|changes|contributing)$/.test(page)) return score - 12;
    return score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
