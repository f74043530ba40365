#ifndef SINKWATCH_SERVER_ANSWERS_REPORT_STYLE_H_
#define SINKWATCH_SERVER_ANSWERS_REPORT_STYLE_H_

namespace sinkwatch::answers {

// How a report looks, on screen and on paper.
inline constexpr char kReportStyle[] = R"css(
body { font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff;
  max-width: 1180px; margin: 2em auto; padding: 0 1.2em; }
h1 { font-size: 1.7em; margin: 0 0 .4em; }
h2 { font-size: 1.05em; margin: 1.4em 0 .4em; color: #1a4f7a;
  border-bottom: 1px solid #dde3e8; padding-bottom: .15em; }
ul { margin: .2em 0; padding-left: 1.2em; }
li { margin: .15em 0; }
.chapters { columns: 2 30em; column-gap: 2.4em; }
.chapters section { break-inside: avoid-column; }
.chapters section h2 { margin-top: .6em; }
.chapters .run { column-span: all; }
.chapters .run ul { list-style: none; padding: 0; }
.chapters .diagnosis { background: #fff6e8; border-left: 4px solid #e8a33d;
  padding: .1em .9em .5em; margin-bottom: .6em; }
.plots { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(30em, 1fr)); }
figure { margin: 0; border: 1px solid #e4e8ec; border-radius: 4px; }
figure svg { display: block; width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: .92em; }
th, td { text-align: left; padding: .15em .7em; border-bottom: 1px solid #eee; }
tr.pass td:first-child { color: #1c7a1c; }
tr.fail td:first-child { color: #b51f20; font-weight: 600; }
dt { font-weight: 600; margin-top: .5em; }
dt span, cite { font-weight: 400; color: #667; }
dd { margin: 0 0 0 1.2em; }
code { font-size: .92em; background: #f4f6f8; padding: 0 .25em; }
details { margin: .2em 0 .2em 1.2em; }
summary { cursor: pointer; color: #1a4f7a; }
@media print { body { margin: 0; font-size: 11px; } figure { break-inside: avoid; } }
@media (max-width: 34em) { .plots { grid-template-columns: 1fr; } }
)css";

}  // namespace sinkwatch::answers

#endif  // SINKWATCH_SERVER_ANSWERS_REPORT_STYLE_H_
