#include "server/answers/report.h"

#include <cmath>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::answers {
namespace {

v1::QuerySeriesResponse Band() {
  v1::QuerySeriesResponse series;
  series.mutable_metric()->set_name("sink_attention");
  series.mutable_metric()->set_threshold(.5);
  series.set_domain("wiki");
  for (const char* statistic : {"min", "p10", "median", "p90", "max"}) {
    series.add_columns()->set_statistic(statistic);
  }
  for (int64_t step : {0, 100, 1000}) {
    series.add_steps(step);
    series.add_tokens(0);
    for (int c = 0; c < 5; ++c) {
      series.add_values(static_cast<float>(step) / 2000 + .1f * c);
    }
  }
  return series;
}

Report ReportOf(const std::string& run) {
  Report report;
  report.run = run;
  v1::Fact& jump = *report.summary.add_facts();
  jump.set_topic("jump");
  jump.set_metric("sink_attention");
  jump.set_domain("wiki");
  jump.set_text("it <jumped> & *stayed*");
  jump.set_after_step(100);
  jump.set_by_step(1000);
  v1::Fact& diagnosis = *report.summary.add_facts();
  diagnosis.set_topic("diagnosis");
  diagnosis.set_text("found");
  diagnosis.add_evidence("because");
  v1::MetricDescriptor& metric = *report.summary.add_metrics();
  metric.set_name("sink_attention");
  metric.set_threshold(.5);
  metric.set_scope(v1::SCOPE_HEAD);
  metric.set_meaning("Attention to key 0.");
  report.summary.add_domains("wiki");
  report.summary.add_notes("a note");
  report.series.push_back(Band());
  return report;
}

void ExpectInOrder(const std::string& text,
                   const std::vector<std::string>& parts) {
  size_t at = 0;
  for (const std::string& part : parts) {
    const size_t found = text.find(part, at);
    ASSERT_NE(found, std::string::npos) << part << "\n" << text;
    at = found + part.size();
  }
}

TEST(ReportTest, HtmlTellsFactsPlotsDefinitionsAndCaveats) {
  const std::string html = ReportHtml(ReportOf("toy"));
  ExpectInOrder(
      html, {"<h1>toy</h1>", "What goes together", "found", "because", "Jumps",
             "it &lt;jumped&gt; &amp; *stayed*", "<svg ", "Definitions",
             "Attention to key 0.", "Caveats", "a note"});
}

TEST(ReportTest, MarkdownTellsTheSameWithItsPlotsInside) {
  const std::string text = ReportMarkdown(ReportOf("toy"));
  ExpectInOrder(
      text, {"# toy", "found", "  - because", "it &lt;jumped> & \\*stayed\\*",
             "![sink\\_attention", "](data:image/svg+xml;base64,",
             "Attention to key 0.", "a note"});
  const size_t begin = text.find("base64,") + 7;
  std::string svg;
  ASSERT_TRUE(absl::Base64Unescape(
      text.substr(begin, text.find(')', begin) - begin), &svg));
  EXPECT_TRUE(absl::StartsWith(svg, "<svg "));
}

// Two values that the run has beside it, and one that it has not.
Report Checked() {
  Report report = ReportOf("toy");
  v1::CheckReferencesResponse& checks = report.checks.emplace_back();
  checks.set_domain("wiki");
  checks.set_passed(1);
  checks.set_failed(1);
  checks.set_relative(.05);
  for (v1::ReferenceVerdict verdict :
       {v1::REFERENCE_VERDICT_PASS, v1::REFERENCE_VERDICT_FAIL,
        v1::REFERENCE_VERDICT_ABSENT}) {
    v1::ReferenceCheck& check = *checks.add_checks();
    check.set_verdict(verdict);
    check.mutable_point()->set_metric("sink_attention");
    check.mutable_point()->set_model("a|b");
    check.mutable_point()->set_citation("Guo & al.");
    check.mutable_point()->set_value(.25);
    if (verdict == v1::REFERENCE_VERDICT_ABSENT) continue;
    check.set_step(100);
    check.set_value(.26);
  }
  return report;
}

TEST(ReportTest, PublishedValuesStandInThePlotsAndInATable) {
  const std::string html = ReportHtml(Checked());
  ExpectInOrder(html, {"<figure><svg ", "stroke=\"#2ca02c\"",
                       "0.25 at step 100: Guo &amp; al.", "stroke=\"#d62728\"",
                       "Published values", "1 pass, 1 fail, within 5 %",
                       "of 1 published values the run has no",
                       "<tr class=\"pass\"><td>pass</td>",
                       "<td>sink_attention</td><td>mean</td><td>wiki</td>"
                       "<td>100</td><td>0.26</td><td>a|b</td><td>0.25</td>",
                       "<tr class=\"fail\">"});
  ExpectInOrder(
      ReportMarkdown(Checked()),
      {"## Published values", "1 pass, 1 fail", "| verdict | metric | where |",
       "| pass | sink\\_attention | mean | wiki | 100 | 0.26 | "
       "a\\|b | 0.25 | Guo & al. |",
       "| fail |"});
  EXPECT_FALSE(
      absl::StrContains(ReportHtml(ReportOf("toy")), "Published values"));
}

TEST(ReportTest, AsksForEachReferenceInEachDomain) {
  v1::CheckReferencesRequest asked;
  asked.set_run("toy");
  asked.set_relative(.1);
  v1::SummarizeResponse summary;
  summary.add_domains("wiki");
  summary.add_domains("code");
  const auto requests = ReportChecks(asked, {"guo", "sun"}, summary);
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_EQ(requests[3].reference(), "sun");
  EXPECT_EQ(requests[3].domain(), "code");
  EXPECT_EQ(requests[3].relative(), .1);
  EXPECT_TRUE(ReportChecks(asked, {}, summary).empty());
}

TEST(ReportTest, OfManySentencesTheFirstStandThereAtOnce) {
  Report report = ReportOf("toy");
  for (int i = 0; i < 20; ++i) {
    v1::Fact& fact = *report.summary.add_facts();
    fact.set_topic("switching");
    fact.set_text(absl::StrCat("head ", i, "."));
  }
  ExpectInOrder(ReportHtml(report),
                {"head 0.", "head 11.", "<summary>8 more</summary>", "head 12.",
                 "head 19.", "</details>"});
  const std::string text = ReportMarkdown(report);
  EXPECT_TRUE(absl::StrContains(text, "- and 8 more"));
  EXPECT_FALSE(absl::StrContains(text, "head 12."));
}

TEST(ReportTest, NamesCannotWriteMarkup) {
  const std::string html = ReportHtml(ReportOf("<script>x</script>"));
  EXPECT_FALSE(absl::StrContains(html, "<script>"));
  const std::string text = ReportMarkdown(ReportOf("a\n# b <script>"));
  EXPECT_FALSE(absl::StrContains(text, "\n# b"));
  EXPECT_FALSE(absl::StrContains(text, "<script>"));
}

TEST(ReportTest, PlotsTheBandOfEachMetricAndDomain) {
  const auto requests = ReportSeries("toy", ReportOf("toy").summary);
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].selector().metric(), "sink_attention");
  EXPECT_EQ(requests[0].selector().aggregation(), v1::AGGREGATION_BAND);
  EXPECT_TRUE(requests[0].selector().across_layers());
}

std::vector<std::string> PlottedIn(const v1::SummarizeResponse& summary) {
  std::vector<std::string> names;
  for (const auto& request : ReportSeries("toy", summary)) {
    names.push_back(absl::StrCat(request.selector().metric(), " ",
                                 request.selector().domain()));
  }
  return names;
}

TEST(ReportTest, WhatJumpedIsDrawnBesideTheHeadlines) {
  v1::SummarizeResponse summary = ReportOf("toy").summary;
  summary.add_domains("code");
  summary.mutable_metrics(0)->set_headline(true);
  summary.add_metrics()->set_name("residual_step_ffn");
  summary.add_metrics()->set_name("silent");
  v1::Fact& jump = *summary.add_facts();
  jump.set_topic("jump");
  jump.set_metric("residual_step_ffn");
  jump.set_domain("code");
  EXPECT_EQ(
      PlottedIn(summary),
      (std::vector<std::string>{"sink_attention wiki", "sink_attention code",
                                "residual_step_ffn code"}));
}

TEST(ReportTest, SaysHowManyPlotsThereIsNoRoomFor) {
  Report report = ReportOf("toy");
  for (int i = 0; i < 30; ++i) {
    v1::MetricDescriptor& metric = *report.summary.add_metrics();
    metric.set_name(absl::StrCat("metric", i));
    metric.set_threshold(1);
  }
  EXPECT_EQ(PlottedIn(report.summary).size(), 24u);
  EXPECT_TRUE(absl::StrContains(ReportHtml(report), "The first 24 of 31;"));
  EXPECT_TRUE(absl::StrContains(ReportMarkdown(report), "The first 24 of 31;"));
  EXPECT_FALSE(absl::StrContains(ReportHtml(ReportOf("toy")), "The first "));
}

}  // namespace
}  // namespace sinkwatch::answers
