#ifndef SINKWATCH_PROTO_BASE_MEASUREMENT_TEXT_H_
#define SINKWATCH_PROTO_BASE_MEASUREMENT_TEXT_H_

#include <string>

#include "sinkwatch/v1/measurement.pb.h"

// A measurement as text. `sinkwatch_worker measure` and `sinkctl measurement`
// both write this: for one checkpoint the same bytes, as long as run, stage,
// step and path of the checkpoint are the same. What only one of them knows
// (when it was committed, by which worker, in how many seconds) is left out.
//
// Vectors are sorted by domain, metric and layer. Numbers are the shortest that
// read back as the same float; a value that is not finite, and a standard
// error that cannot be told, is null in JSON and empty in CSV.
namespace sinkwatch::base {

// One JSON object, a line for each vector:
//   spec_version
//   checkpoint {path, run, stage, step, architecture, content_digest}
//   probe {name, digest, sequence_length, bos_policy}
//   model {layers, heads, kv_heads, head_dim, width, vocabulary}
//   dtype, device
//   protocol: null, or the published protocol that was followed
//   implausible: null, or why the values are not to be believed
//   unused_tensors {count, first: [name, ...]}: of the checkpoint, that the
//     model does not use
//   load_seconds, compute_seconds
//   notes [text, ...]: for a person
//   tensors {name: digest in hex, ...}: of those content_digest is over
//   sinks [{domain, layer, token, at_zero, mass, heads, sequences}, ...]
//   massive_dimensions [{domain, layer, dimension, position, value, sequences},
//     ...]
//   measurements [{domain, metric, layer, values, stderr, count,
//     sequence_values}, ...]
// `layer` is null for model scope, `step` where it is below 0 (not known).
// `stderr` has an entry for each value. `sequence_values` is there only of what
// has them: for each value a list of what each sequence gives, in the probe's
// order. Bytes that are no UTF-8 become U+FFFD.
std::string MeasurementJson(const v1::Measurement& measurement);

// domain,metric,layer,index,value,stderr,count: a line for each value, whose
// index is its head's, or 0; without those of sequences. RFC 4180, with
// AppendCsvText's cells.
std::string MeasurementCsv(const v1::Measurement& measurement);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_MEASUREMENT_TEXT_H_
