#include "server/answers/report.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/answers/analysis_tables.h"
#include "server/answers/names.h"
#include "server/answers/svg_plot.h"

namespace sinkwatch::answers {
namespace {

constexpr size_t kMaxPlots = 24;
constexpr int kPoints = 400;

// What holds of every report.
const char* const kCaveats[] = {
    "Onsets are intervals: a grid of checkpoints only brackets a crossing, and "
    "a "
    "coarser grid gives a later one.",
    "Which came first tells no mechanism, and neither does a correlation of "
    "two "
    "trends: the evidence is an intervention on the model.",
    "Numbers of another sequence length, another probe or another policy of "
    "beginning-of-sequence tokens cannot be compared with these.",
    "The bounds of head states are calibrated on a small model only.",
    "Sink strength is not importance: whether the model would miss a head is "
    "told "
    "by ablating it."};

bool IsPlotted(const v1::SummarizeResponse& summary,
               const v1::MetricDescriptor& metric) {
  const bool headlines =
      std::any_of(summary.metrics().begin(), summary.metrics().end(),
                  [](const v1::MetricDescriptor& m) { return m.headline(); });
  return headlines ? metric.headline() : metric.has_threshold();
}

// The threshold and the intervals of jumps and onsets of a series.
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
  return marks;
}

std::string TitleOf(const v1::QuerySeriesResponse& series) {
  return absl::StrCat(series.metric().name(), " in ", series.domain());
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

// Markdown reads what HTML has as well; a line is one.
std::string MarkdownText(const std::string& text) {
  return absl::StrReplaceAll(text, {{"\\", "\\\\"},
                                    {"`", "\\`"},
                                    {"*", "\\*"},
                                    {"_", "\\_"},
                                    {"[", "\\["},
                                    {"<", "&lt;"},
                                    {"\n", " "},
                                    {"\r", " "}});
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

std::string HtmlDefinitions(const Report& report) {
  std::string html = "<h2>Definitions</h2>\n<dl>\n";
  for (const v1::MetricDescriptor& metric : report.summary.metrics()) {
    absl::StrAppend(&html, "<dt>", EscapeMarkup(metric.name()), " [",
                    EscapeMarkup(metric.unit()), ", one value per ",
                    ScopeName(metric.scope()), "]</dt><dd>",
                    EscapeMarkup(metric.meaning()), " ",
                    EscapeMarkup(metric.formula()), " (",
                    EscapeMarkup(metric.source()), ")</dd>\n");
  }
  return html + "</dl>\n";
}

}  // namespace

std::vector<v1::QuerySeriesRequest> ReportSeries(
    const std::string& run, const v1::SummarizeResponse& summary) {
  std::vector<v1::QuerySeriesRequest> requests;
  for (const v1::MetricDescriptor& metric : summary.metrics()) {
    if (!IsPlotted(summary, metric)) continue;
    for (const std::string& domain : summary.domains()) {
      if (requests.size() == kMaxPlots) return requests;
      v1::QuerySeriesRequest& request = requests.emplace_back();
      v1::SeriesSelector& selector = *request.mutable_selector();
      selector.set_run(run);
      selector.set_stage(summary.stage());
      selector.set_metric(metric.name());
      selector.set_domain(domain);
      selector.set_aggregation(v1::AGGREGATION_BAND);
      selector.set_across_layers(true);
      request.set_max_points(kPoints);
      request.set_omit_standard_errors(true);
    }
  }
  return requests;
}

std::string ReportMarkdown(const Report& report) {
  std::string text = absl::StrCat("# ", MarkdownText(report.run), "\n\n");
  for (const Chapter& chapter : Chapters()) {
    const auto facts = FactsOf(report, chapter);
    if (facts.empty()) continue;
    absl::StrAppend(&text, "## ", chapter.title, "\n\n");
    for (const v1::Fact* fact : facts) {
      absl::StrAppend(&text, "- ", MarkdownText(fact->text()), "\n");
      for (const std::string& evidence : fact->evidence()) {
        absl::StrAppend(&text, "  - ", MarkdownText(evidence), "\n");
      }
    }
    text += "\n";
  }
  text += "## Curves\n\n";
  for (const v1::QuerySeriesResponse& series : report.series) {
    const std::string svg =
        SvgPlot(series, TitleOf(series), MarksOf(report, series));
    if (svg.empty()) continue;
    absl::StrAppend(&text, "![", MarkdownText(TitleOf(series)),
                    "](data:image/svg+xml;base64,", absl::Base64Escape(svg),
                    ")\n\n");
  }
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
  for (const char* caveat : kCaveats)
    absl::StrAppend(&text, "- ", caveat, "\n");
  for (const std::string& note : report.summary.notes()) {
    absl::StrAppend(&text, "- ", MarkdownText(note), "\n");
  }
  return text;
}

std::string ReportHtml(const Report& report) {
  const std::string run = EscapeMarkup(report.run);
  std::string html = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<title>",
      run, "</title></head>\n<body>\n<h1>", run, "</h1>\n");
  for (const Chapter& chapter : Chapters()) {
    const auto facts = FactsOf(report, chapter);
    if (facts.empty()) continue;
    absl::StrAppend(&html, "<h2>", chapter.title, "</h2>\n<ul>\n");
    for (const v1::Fact* fact : facts) html += HtmlItem(*fact);
    html += "</ul>\n";
  }
  html += "<h2>Curves</h2>\n";
  for (const v1::QuerySeriesResponse& series : report.series) {
    const std::string svg =
        SvgPlot(series, TitleOf(series), MarksOf(report, series));
    if (!svg.empty()) absl::StrAppend(&html, "<p>", svg, "</p>\n");
  }
  html += HtmlDefinitions(report);
  html += "<h2>Caveats</h2>\n<ul>\n";
  for (const char* caveat : kCaveats) {
    absl::StrAppend(&html, "<li>", caveat, "</li>\n");
  }
  for (const std::string& note : report.summary.notes()) {
    absl::StrAppend(&html, "<li>", EscapeMarkup(note), "</li>\n");
  }
  return html + "</ul>\n</body></html>\n";
}

}  // namespace sinkwatch::answers
