"""Style of the report's page: for light and dark screens, phones and paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #18202c; --muted: #566275; --paper: #ffffff; --card: #f5f7fa; --line: #d8dee8;
  --good: #18794e; --bad: #c0392b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e7ebf1; --muted: #a3afbf; --paper: #12161c; --card: #1b212a; --line: #323b48;
    --good: #4cc38a; --bad: #ff7b6b;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
.kicker {
  margin: 0; color: var(--muted); font-size: .85rem; letter-spacing: .06em; text-transform: uppercase;
}
h1 { margin: .1rem 0 1rem; font-size: 2rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 0 0 .75rem; font-size: 1.25rem; }
section { margin-top: 2.5rem; padding-top: 1.5rem; border-top: 1px solid var(--line); }
p { max-width: 46rem; }
code { font: .9em ui-monospace, "Cascadia Code", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.verdict {
  max-width: none; margin: 0; padding: .9rem 1.1rem; border-left: 4px solid; background: var(--card);
}
.verdict.passed { border-color: var(--good); }
.verdict.failed { border-color: var(--bad); }
.verdict.undecided { border-color: var(--muted); }
dl { margin: 1rem 0 0; display: flex; flex-wrap: wrap; gap: .4rem 2rem; }
dt { color: var(--muted); font-size: .85rem; }
dd { margin: 0; }
.cards {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .8rem;
  margin-top: 1.5rem;
}
.cards div {
  padding: .8rem 1rem; border: 1px solid var(--line); border-radius: 8px; background: var(--card);
}
.cards dd {
  font-size: 1.45rem; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
.cards .note { color: var(--muted); font-size: .82rem; font-weight: 400; }
figure { margin: 1rem 0; overflow-x: auto; }
figure svg { display: block; width: 100%; height: auto; }
figure svg text { font-family: inherit !important; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td {
  padding: .35rem .8rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap;
}
th[scope=row], th:first-child { text-align: left; font-weight: 500; }
thead th { color: var(--muted); font-weight: 500; }
table.wide th[scope=row] { min-width: 14rem; white-space: normal; overflow-wrap: anywhere; }
section > table, details { display: block; overflow-x: auto; }
details { margin-top: .5rem; }
summary { cursor: pointer; color: var(--muted); }
.pair { display: flex; flex-wrap: wrap; gap: 2rem; overflow-x: auto; }
.confusion { font-size: .85rem; }
.confusion caption { padding-bottom: .3rem; font-weight: 600; text-align: left; }
.confusion th, .confusion td { padding: .3rem .45rem; border: 1px solid var(--line); }
.confusion td { min-width: 2.3rem; text-align: center; }
.confusion thead td { border: 0; }
.confusion thead th { padding: .3rem .1rem; vertical-align: bottom; }
.confusion thead span { display: inline-block; writing-mode: vertical-rl; transform: rotate(180deg); }
.confusion .zero { color: var(--muted); }
li { max-width: 46rem; margin: .3rem 0; overflow-wrap: anywhere; }
@media print {
  main { max-width: none; padding: 0; }
  section, figure, table { break-inside: avoid; }
  td, .cards div, .verdict { print-color-adjust: exact; }
}
"""
