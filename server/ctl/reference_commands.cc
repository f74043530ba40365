#include "server/ctl/reference_commands.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "proto/base/utf8.h"
#include "server/answers/analysis_tables.h"
#include "server/ctl/analysis_context.h"

namespace sinkwatch::ctl {
namespace {

using base::CommandSpec;
using base::FlagSpec;
using base::ValueKind;

// What the server takes of a table.
constexpr size_t kMaxBytes = size_t{1} << 20;

absl::StatusOr<std::string> ReadTable(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a folder"));
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  text.resize(file.gcount());
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is above 1 MiB"));
  }
  if (base::IsUtf8(text)) return text;
  return absl::InvalidArgumentError(absl::StrCat(path, " is not UTF-8"));
}

// "guo" of "/tables/guo.csv".
std::string StemOf(const std::string& path) {
  return std::filesystem::path(path).stem().string();
}

absl::Status AddReference(const Context& c, const std::string& path) {
  v1::AddReferenceRequest request;
  request.set_name(c.args.Has("name") ? c.args.Get("name") : StemOf(path));
  ASSIGN_OR_RETURN(*request.mutable_csv(), ReadTable(path));
  ASSIGN_OR_RETURN(
      const v1::AddReferenceResponse added,
      c.client.Ask(&v1::AnalysisService::Stub::AddReference, request));
  c.out << "reference " << request.name() << " has " << added.points()
        << (added.points() == 1 ? " point\n" : " points\n");
  return absl::OkStatus();
}

absl::Status RemoveReference(const Context& c, const std::string& name) {
  v1::RemoveReferenceRequest request;
  request.set_name(name);
  return c.client.Ask(&v1::AnalysisService::Stub::RemoveReference, request)
      .status();
}

absl::Status ListReferences(const Context& c, const std::string& name) {
  v1::ListReferencesRequest request;
  request.set_reference(name);
  request.set_model(c.args.Get("model"));
  request.set_metric(c.args.Get("metric"));
  ASSIGN_OR_RETURN(
      const v1::ListReferencesResponse list,
      c.client.Ask(&v1::AnalysisService::Stub::ListReferences, request));
  return Print(c, answers::ReferencesTable(list));
}

absl::Status CheckReferences(const Context& c, const std::string& run,
                             const std::string& name) {
  v1::CheckReferencesRequest request;
  request.set_run(run);
  request.set_reference(name);
  if (c.args.Has("stage")) request.set_stage(c.args.Get("stage"));
  if (c.args.Has("domain")) request.set_domain(c.args.Get("domain"));
  request.set_model(c.args.Get("model"));
  request.set_metric(c.args.Get("metric"));
  request.set_relative(c.args.Number("relative"));
  request.set_absolute(c.args.Number("absolute"));
  ASSIGN_OR_RETURN(
      const v1::CheckReferencesResponse checks,
      c.client.Ask(&v1::AnalysisService::Stub::CheckReferences, request));
  RETURN_IF_ERROR(Print(c, answers::ReferenceChecksTable(checks)));
  Note(c, absl::StrCat(
              checks.passed(), " pass, ", checks.failed(), " fail, within ",
              100 * checks.relative(), " % of the published value",
              checks.absolute() > 0 ? absl::StrCat(" and ", checks.absolute())
                                    : "",
              "; ", checks.checks_size() - checks.passed() - checks.failed(),
              " absent"));
  return absl::OkStatus();
}

absl::Status Reference(const Context& c) {
  const std::string action = c.args.Get("action");
  const std::vector<std::string> words = c.args.All("target");
  const size_t needed = action == "list" ? 0 : action == "check" ? 2 : 1;
  const size_t most = action == "list" ? 1 : needed;
  if (words.size() < needed || words.size() > most) {
    return absl::InvalidArgumentError(
        "add FILE.csv, list [NAME], check RUN NAME, or remove NAME");
  }
  if (action == "add") return AddReference(c, words[0]);
  if (action == "remove") return RemoveReference(c, words[0]);
  if (action == "check") return CheckReferences(c, words[0], words[1]);
  return ListReferences(c, words.empty() ? "" : words[0]);
}

FlagSpec Target() {
  FlagSpec target = {"target", "WORD",
                     "file, name, or run and name; default: none"};
  target.repeated = true;
  return target.Example("mine.csv");
}

CommandSpec ReferenceSpec() {
  return {
      "reference",
      {"ACTION", "[TARGET...]"},
      "published numbers: add FILE.csv, list [NAME], check RUN NAME, remove "
      "NAME",
      {FlagSpec{"action", "ACTION", "what to do; default: none"}
           .OneOf({"add", "list", "check", "remove"})
           .Example("list"),
       Target(),
       FlagSpec{"name", "NAME", "of what is added; default: the file's"}
           .Example("guo-mine"),
       FlagSpec{"model", "NAME", "only of that model; default: all"}.Example(
           "olmo-1b-0724"),
       FlagSpec{"metric", "NAME", "only that metric; default: all"}.Example(
           "sink_attention"),
       Domain(), Stage(), Relative(), Absolute(), All()},
      {"reference add mine.csv", "reference list guo-2410.13835",
       "reference check toy guo-2410.13835 --domain=train --relative=.1"}};
}

}  // namespace

std::vector<Command> ReferenceCommands() {
  return {{ReferenceSpec(), Reference}};
}

}  // namespace sinkwatch::ctl
