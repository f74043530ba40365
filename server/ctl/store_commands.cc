#include "server/ctl/store_commands.h"

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "server/ctl/flags.h"

namespace sinkwatch::ctl {
namespace {

using base::CommandSpec;
using base::FlagSpec;
using Damages = google::protobuf::RepeatedPtrField<v1::StoreDamage>;

answers::Cell Known(const std::string& text) {
  return text.empty() ? answers::Cell() : answers::Cell(text);
}

void AddRows(const Damages& damages, const char* outcome,
             answers::Table& table) {
  for (const v1::StoreDamage& damage : damages) {
    const bool measured = damage.measurement() > 0;
    table.rows.push_back(
        {Known(damage.run()), Known(damage.stage()),
         measured ? answers::Cell(int64_t{damage.step()}) : answers::Cell(),
         Known(damage.metric()), Known(damage.domain()),
         answers::Cell(std::string(outcome)), answers::Cell(damage.what())});
  }
}

answers::Table EmptyTable() {
  answers::Table table;
  table.columns = {"run",    "stage",   "step", "metric",
                   "domain", "outcome", "what"};
  return table;
}

absl::Status Check(const Context& c) {
  v1::CheckStoreRequest request;
  request.set_check_file(c.args.Has("whole-file"));
  ASSIGN_OR_RETURN(const v1::CheckStoreResponse answer,
                   c.client.CheckStore(request));
  answers::Table table = EmptyTable();
  AddRows(answer.damage(), "damaged", table);
  for (const std::string& line : answer.file_errors()) {
    table.rows.push_back({answers::Cell(), answers::Cell(), answers::Cell(),
                          answers::Cell(), answers::Cell(),
                          answers::Cell(std::string("damaged file")),
                          answers::Cell(line)});
  }
  if (!c.for_people() || !table.rows.empty()) RETURN_IF_ERROR(Print(c, table));
  if (answer.total_damage() == 0 && answer.file_errors().empty()) {
    if (c.for_people()) {
      c.out << "sound: " << answer.measurements() << " measurements, "
            << answer.blobs() << " vectors of values read back"
            << (request.check_file() ? ", and the file" : "") << "\n";
    }
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(
      answer.total_damage(), " of what is stored cannot be read back",
      answer.total_damage() > 0
          ? ": `sinkctl store repair` has it measured again"
          : "",
      answer.file_errors().empty()
          ? ""
          : "; the file is damaged: put the latest backup in its place"));
}

absl::Status Repair(const Context& c) {
  ASSIGN_OR_RETURN(const v1::RepairStoreResponse answer,
                   c.client.RepairStore(v1::RepairStoreRequest()));
  answers::Table table = EmptyTable();
  AddRows(answer.mended(), "set aside", table);
  AddRows(answer.left(), "left", table);
  if (!c.for_people() || !table.rows.empty()) RETURN_IF_ERROR(Print(c, table));
  if (c.for_people()) {
    c.out << answer.set_aside()
          << " measurements set aside; their checkpoints are queued\n";
  }
  if (answer.left().empty()) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(answer.left_size(), " could not be mended"));
}

absl::Status Backup(const Context& c) {
  v1::BackupStoreRequest request;
  request.set_file(c.args.Get("file"));
  if (request.file().empty()) {
    return absl::InvalidArgumentError(
        "store backup needs a FILE, as `sinkctl store backup monday.db`");
  }
  ASSIGN_OR_RETURN(const v1::BackupStoreResponse answer,
                   c.client.BackupStore(request));
  if (c.for_people()) {
    c.out << answer.path() << ": " << answer.measurements() << " measurements, "
          << answer.bytes() << " bytes, sha256 " << answer.sha256() << "\n";
    return absl::OkStatus();
  }
  return Print(
      c, {{"path", "bytes", "sha256", "measurements"},
          {{answer.path(), answers::Cell(int64_t{answer.bytes()}),
            answer.sha256(), answers::Cell(int64_t{answer.measurements()})}}});
}

absl::Status Store(const Context& c) {
  const std::string action = c.args.Get("action");
  if (action == "check") return Check(c);
  return action == "repair" ? Repair(c) : Backup(c);
}

CommandSpec StoreSpec() {
  return {"store",
          {"ACTION", "[FILE]"},
          "read back what is stored, have what is damaged measured again, or "
          "copy it",
          {FlagSpec{"action", "ACTION",
                    "check reads all of it back; repair does too, and sets "
                    "aside and queues what is damaged; backup copies it into a "
                    "new file; default: none"}
               .OneOf({"check", "repair", "backup"})
               .Example("check"),
           FlagSpec{"file", "FILE",
                    "of a backup: a name below the server's backup_dir; "
                    "default: none"}
               .Example("monday.db"),
           {"whole-file", "", "check the file as a whole, too, on a copy"},
           All()},
          {"store check", "store check --whole-file", "store repair",
           "store backup monday.db"}};
}

}  // namespace

std::vector<Command> StoreCommands() { return {{StoreSpec(), Store}}; }

}  // namespace sinkwatch::ctl
