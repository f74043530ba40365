#include "server/answers/report.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "server/answers/analysis_tables.h"
#include "server/answers/names.h"
#include "server/answers/report_style.h"
#include "server/answers/svg_plot.h"
#include "server/answers/table.h"

namespace sinkwatch::answers {
namespace {

constexpr size_t kMaxPlots = 24;
constexpr int kPoints = 400;
// Sentences of a chapter that stand there at once, and published values.
constexpr size_t kShown = 12;
constexpr size_t kMaxChecks = 200;

// What holds of every report.
const char* const kCaveats[] = {
    "Onsets are intervals: a grid of checkpoints only brackets a crossing, and "
    "a coarser grid gives a later one.",
    "Which came first, and which changes first, tells no mechanism, and "
    "neither "
    "does a correlation of two trends: the evidence is an intervention on the "
    "model.",
    "Numbers of another sequence length, another probe or another policy of "
    "beginning-of-sequence tokens cannot be compared with these.",
    "The bounds of head states are calibrated on a small model only.",
    "Sink strength is not importance: whether the model would miss a head is "
    "told by ablating it."};

// Whether a metric is drawn whatever it did.
bool IsHeadlineOf(const v1::SummarizeResponse& summary,
                  const v1::MetricDescriptor& metric) {
  const bool headlines =
      std::any_of(summary.metrics().begin(), summary.metrics().end(),
                  [](const v1::MetricDescriptor& m) { return m.headline(); });
  return headlines ? metric.headline() : metric.has_threshold();
}

bool Jumped(const v1::SummarizeResponse& summary, const std::string& metric,
            const std::string& domain) {
  return std::any_of(summary.facts().begin(), summary.facts().end(),
                     [&](const v1::Fact& fact) {
                       return fact.topic() == "jump" &&
                              fact.metric() == metric &&
                              fact.domain() == domain;
                     });
}

// Metrics and domains that are drawn, as far as there is room: headlines, then
// what jumped beside them.
std::vector<std::pair<std::string, std::string>> PlottedOf(
    const v1::SummarizeResponse& summary) {
  std::vector<std::pair<std::string, std::string>> plotted;
  for (const bool headlines : {true, false}) {
    for (const v1::MetricDescriptor& metric : summary.metrics()) {
      if (IsHeadlineOf(summary, metric) != headlines) continue;
      for (const std::string& domain : summary.domains()) {
        if (!headlines && !Jumped(summary, metric.name(), domain)) continue;
        plotted.emplace_back(metric.name(), domain);
      }
    }
  }
  return plotted;
}

// What is said of plots that there is no room for; empty: there is.
std::string CutOf(const v1::SummarizeResponse& summary) {
  const size_t all = PlottedOf(summary).size();
  if (all <= kMaxPlots) return "";
  return absl::StrCat("The first ", kMaxPlots, " of ", all,
                      "; sinkctl series --chart has the others.");
}

std::string CitationOf(const v1::ReferencePoint& point) {
  return absl::StrJoin({point.citation(), point.model(), point.revision()},
                       ", ");
}

// Published values of a series whose step is known.
void AddPoints(const Report& report, const v1::QuerySeriesResponse& series,
               PlotMarks& marks) {
  for (const v1::CheckReferencesResponse& checks : report.checks) {
    if (checks.domain() != series.domain()) continue;
    for (const v1::ReferenceCheck& check : checks.checks()) {
      const v1::ReferencePoint& point = check.point();
      if (point.metric() != series.metric().name()) continue;
      if (!check.has_step() && !point.has_step()) continue;
      const int64_t step = check.has_step() ? check.step() : point.step();
      marks.points.push_back({static_cast<double>(step), point.value(),
                              check.verdict(),
                              absl::StrCat(point.value(), " at step ", step,
                                           ": ", CitationOf(point))});
    }
  }
}

// The threshold, the intervals of jumps and onsets, and published values of a
// series.
PlotMarks MarksOf(const Report& report, const v1::QuerySeriesResponse& series) {
  PlotMarks marks;
  if (series.metric().has_threshold()) {
    marks.threshold = series.metric().threshold();
  }
  for (const v1::Fact& fact : report.summary.facts()) {
    const bool told = fact.topic() == "jump" || fact.topic() == "onset";
    if (!told || fact.metric() != series.metric().name() ||
        fact.domain() != series.domain() || !fact.has_after_step() ||
        !fact.has_by_step()) {
      continue;
    }
    marks.intervals.emplace_back(fact.after_step(), fact.by_step());
  }
  AddPoints(report, series, marks);
  return marks;
}

std::string TitleOf(const v1::QuerySeriesResponse& series) {
  std::string title =
      absl::StrCat(series.metric().name(), " in ", series.domain());
  if (!series.metric().unit().empty()) {
    absl::StrAppend(&title, " [", series.metric().unit(), "]");
  }
  return title;
}

// The pictures, with the definition below each of its metric's first.
struct Plot {
  std::string svg;
  std::string title;
};
std::vector<Plot> PlotsOf(const Report& report) {
  std::vector<Plot> plots;
  for (const v1::QuerySeriesResponse& series : report.series) {
    std::string svg = SvgPlot(series, TitleOf(series), MarksOf(report, series));
    if (!svg.empty()) plots.push_back({std::move(svg), TitleOf(series)});
  }
  return plots;
}

// The facts of a chapter; null where there are none.
std::vector<const v1::Fact*> FactsOf(const Report& report,
                                     const Chapter& chapter) {
  std::vector<const v1::Fact*> facts;
  for (const v1::Fact& fact : report.summary.facts()) {
    if (fact.topic() == chapter.topic) facts.push_back(&fact);
  }
  return facts;
}

// Published values beside own ones, as rows of text: those that there is an own
// value of, and how many there are of which there is none.
struct Checked {
  std::vector<std::vector<std::string>> rows;
  int64_t passed = 0, failed = 0, absent = 0;
  std::string tolerance;
};
const char* const kCheckColumns[] = {"verdict", "metric",    "where",
                                     "domain",  "step",      "own",
                                     "model",   "published", "citation"};

std::string PlaceOf(const v1::ReferencePoint& point) {
  std::string place;
  if (point.has_layer()) absl::StrAppend(&place, "L", point.layer());
  if (point.has_head()) absl::StrAppend(&place, "H", point.head());
  if (!place.empty()) return place;
  const bool said = point.over() != v1::AGGREGATION_UNSPECIFIED;
  return said ? AggregationName(point.over()) : "mean";
}

std::string ModelOf(const v1::ReferencePoint& point) {
  return point.revision().empty()
             ? point.model()
             : absl::StrCat(point.model(), " ", point.revision());
}

Checked CheckedOf(const Report& report) {
  Checked checked;
  for (const v1::CheckReferencesResponse& checks : report.checks) {
    checked.passed += checks.passed();
    checked.failed += checks.failed();
    checked.tolerance =
        absl::StrCat(100 * checks.relative(), " % of the published value");
    if (checks.absolute() > 0) {
      absl::StrAppend(&checked.tolerance, " and ", checks.absolute());
    }
    for (const v1::ReferenceCheck& check : checks.checks()) {
      const v1::ReferencePoint& point = check.point();
      if (!check.has_value()) {
        ++checked.absent;
        continue;
      }
      if (checked.rows.size() == kMaxChecks) continue;
      std::string source = point.citation();
      if (!point.protocol().empty()) {
        absl::StrAppend(&source, "; ", point.protocol());
      }
      checked.rows.push_back({ReferenceVerdictName(check.verdict()),
                              point.metric(), PlaceOf(point), checks.domain(),
                              absl::StrCat(check.step()),
                              CellText(check.value()), ModelOf(point),
                              CellText(point.value()), source});
    }
  }
  return checked;
}

std::string SentenceOf(const Checked& checked) {
  std::string text = absl::StrCat(
      checked.passed, " pass, ", checked.failed, " fail, within ",
      checked.tolerance, "; of ", checked.absent,
      " published values the run has no metric, layer, head or checkpoint.");
  const auto shown = static_cast<int64_t>(checked.rows.size());
  if (shown < checked.passed + checked.failed) {
    absl::StrAppend(&text, " The first ", shown, ":");
  }
  return text;
}

// Markdown reads what HTML has as well; a line is one.
std::string MarkdownText(const std::string& text) {
  return absl::StrReplaceAll(text, {{"\\", "\\\\"},
                                    {"`", "\\`"},
                                    {"*", "\\*"},
                                    {"_", "\\_"},
                                    {"[", "\\["},
                                    {"|", "\\|"},
                                    {"<", "&lt;"},
                                    {"\n", " "},
                                    {"\r", " "}});
}

std::string MarkdownFacts(const Report& report) {
  std::string text;
  for (const Chapter& chapter : Chapters()) {
    const auto facts = FactsOf(report, chapter);
    if (facts.empty()) continue;
    absl::StrAppend(&text, "## ", chapter.title, "\n\n");
    for (size_t i = 0; i < std::min(facts.size(), kShown); ++i) {
      absl::StrAppend(&text, "- ", MarkdownText(facts[i]->text()), "\n");
      for (const std::string& evidence : facts[i]->evidence()) {
        absl::StrAppend(&text, "  - ", MarkdownText(evidence), "\n");
      }
    }
    if (facts.size() > kShown) {
      absl::StrAppend(&text, "- and ", facts.size() - kShown,
                      " more: `sinkctl summary` tells all\n");
    }
    text += "\n";
  }
  return text;
}

std::string MarkdownChecks(const Report& report) {
  if (report.checks.empty()) return "";
  const Checked checked = CheckedOf(report);
  std::string text = absl::StrCat("## Published values\n\n",
                                  MarkdownText(SentenceOf(checked)), "\n\n");
  if (checked.rows.empty()) return text;
  text += "|";
  for (const char* column : kCheckColumns) {
    absl::StrAppend(&text, " ", column, " |");
  }
  text += "\n|";
  for (size_t c = 0; c < std::size(kCheckColumns); ++c) text += "---|";
  for (const auto& row : checked.rows) {
    text += "\n|";
    for (const std::string& cell : row) {
      absl::StrAppend(&text, " ", MarkdownText(cell), " |");
    }
  }
  return text + "\n\n";
}

std::string HtmlItem(const v1::Fact& fact) {
  std::string item = absl::StrCat("<li>", EscapeMarkup(fact.text()));
  if (fact.evidence_size() > 0) {
    item += "<ul>";
    for (const std::string& evidence : fact.evidence()) {
      absl::StrAppend(&item, "<li>", EscapeMarkup(evidence), "</li>");
    }
    item += "</ul>";
  }
  return item + "</li>\n";
}

// Sentences, the first of them at once.
std::string HtmlFacts(const std::vector<const v1::Fact*>& facts) {
  std::string html = "<ul>\n";
  for (size_t i = 0; i < facts.size(); ++i) {
    if (i == kShown) {
      absl::StrAppend(&html, "</ul>\n<details><summary>", facts.size() - kShown,
                      " more</summary>\n<ul>\n");
    }
    html += HtmlItem(*facts[i]);
  }
  return html + (facts.size() > kShown ? "</ul></details>\n" : "</ul>\n");
}

std::string HtmlChapters(const Report& report) {
  std::string html = "<div class=\"chapters\">\n";
  for (const Chapter& chapter : Chapters()) {
    const auto facts = FactsOf(report, chapter);
    if (facts.empty()) continue;
    absl::StrAppend(&html, "<section class=\"", chapter.topic, "\"><h2>",
                    chapter.title, "</h2>\n", HtmlFacts(facts), "</section>\n");
  }
  return html + "</div>\n";
}

std::string HtmlPlots(const Report& report) {
  std::string html =
      "<h2>Curves</h2>\n<p>Shaded: intervals of onsets and jumps. Broken line: "
      "the threshold.";
  if (!report.checks.empty()) {
    html +=
        " Circles: published values (green pass, red fail, grey no own "
        "value).";
  }
  const std::string cut = CutOf(report.summary);
  if (!cut.empty()) absl::StrAppend(&html, " ", EscapeMarkup(cut));
  html += "</p>\n<div class=\"plots\">\n";
  for (const Plot& plot : PlotsOf(report)) {
    absl::StrAppend(&html, "<figure>", plot.svg, "</figure>\n");
  }
  return html + "</div>\n";
}

std::string HtmlChecks(const Report& report) {
  if (report.checks.empty()) return "";
  const Checked checked = CheckedOf(report);
  std::string html = absl::StrCat("<h2>Published values</h2>\n<p>",
                                  EscapeMarkup(SentenceOf(checked)), "</p>\n");
  if (checked.rows.empty()) return html;
  html += "<div class=\"wide\"><table><tr>";
  for (const char* column : kCheckColumns) {
    absl::StrAppend(&html, "<th>", column, "</th>");
  }
  html += "</tr>\n";
  for (const auto& row : checked.rows) {
    absl::StrAppend(&html, "<tr class=\"", row[0], "\">");
    for (const std::string& cell : row) {
      absl::StrAppend(&html, "<td>", EscapeMarkup(cell), "</td>");
    }
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

std::string HtmlDefinitions(const Report& report) {
  std::string html = "<h2>Definitions</h2>\n<dl>\n";
  for (const v1::MetricDescriptor& metric : report.summary.metrics()) {
    absl::StrAppend(&html, "<dt>", EscapeMarkup(metric.name()), " <span>[",
                    EscapeMarkup(metric.unit()), ", one value per ",
                    ScopeName(metric.scope()), "]</span></dt><dd>",
                    EscapeMarkup(metric.meaning()), " <code>",
                    EscapeMarkup(metric.formula()), "</code> <cite>",
                    EscapeMarkup(metric.source()), "</cite></dd>\n");
  }
  return html + "</dl>\n";
}

std::string HtmlCaveats(const Report& report) {
  std::string html = "<h2>Caveats</h2>\n<ul>\n";
  for (const char* caveat : kCaveats) {
    absl::StrAppend(&html, "<li>", caveat, "</li>\n");
  }
  for (const std::string& note : report.summary.notes()) {
    absl::StrAppend(&html, "<li>", EscapeMarkup(note), "</li>\n");
  }
  return html + "</ul>\n";
}

}  // namespace

std::vector<v1::QuerySeriesRequest> ReportSeries(
    const std::string& run, const v1::SummarizeResponse& summary) {
  std::vector<v1::QuerySeriesRequest> requests;
  for (const auto& [metric, domain] : PlottedOf(summary)) {
    if (requests.size() == kMaxPlots) break;
    v1::QuerySeriesRequest& request = requests.emplace_back();
    v1::SeriesSelector& selector = *request.mutable_selector();
    selector.set_run(run);
    selector.set_stage(summary.stage());
    selector.set_metric(metric);
    selector.set_domain(domain);
    selector.set_aggregation(v1::AGGREGATION_BAND);
    selector.set_across_layers(true);
    request.set_max_points(kPoints);
    request.set_omit_standard_errors(true);
  }
  return requests;
}

std::vector<v1::CheckReferencesRequest> ReportChecks(
    const v1::CheckReferencesRequest& asked,
    const std::vector<std::string>& references,
    const v1::SummarizeResponse& summary) {
  std::vector<v1::CheckReferencesRequest> requests;
  for (const std::string& reference : references) {
    for (const std::string& domain : summary.domains()) {
      v1::CheckReferencesRequest& request = requests.emplace_back(asked);
      request.set_stage(summary.stage());
      request.set_domain(domain);
      request.set_reference(reference);
    }
  }
  return requests;
}

std::string ReportMarkdown(const Report& report) {
  std::string text = absl::StrCat("# ", MarkdownText(report.run), "\n\n",
                                  MarkdownFacts(report), "## Curves\n\n");
  for (const Plot& plot : PlotsOf(report)) {
    absl::StrAppend(&text, "![", MarkdownText(plot.title),
                    "](data:image/svg+xml;base64,",
                    absl::Base64Escape(plot.svg), ")\n\n");
  }
  const std::string cut = CutOf(report.summary);
  if (!cut.empty()) absl::StrAppend(&text, MarkdownText(cut), "\n\n");
  text += MarkdownChecks(report);
  text += "## Definitions\n\n";
  for (const v1::MetricDescriptor& metric : report.summary.metrics()) {
    absl::StrAppend(&text, "- **", MarkdownText(metric.name()), "** [",
                    MarkdownText(metric.unit()), ", one value per ",
                    MarkdownText(ScopeName(metric.scope())),
                    "]: ", MarkdownText(metric.meaning()), " ",
                    MarkdownText(metric.formula()), " (",
                    MarkdownText(metric.source()), ")\n");
  }
  text += "\n## Caveats\n\n";
  for (const char* caveat : kCaveats) {
    absl::StrAppend(&text, "- ", caveat, "\n");
  }
  for (const std::string& note : report.summary.notes()) {
    absl::StrAppend(&text, "- ", MarkdownText(note), "\n");
  }
  return text;
}

std::string ReportHtml(const Report& report) {
  const std::string run = EscapeMarkup(report.run);
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width\"><title>",
      run, "</title>\n<style>", kReportStyle, "</style></head>\n<body>\n<h1>",
      run, "</h1>\n", HtmlChapters(report), HtmlPlots(report),
      HtmlChecks(report), HtmlDefinitions(report), HtmlCaveats(report),
      "</body></html>\n");
}

}  // namespace sinkwatch::answers
