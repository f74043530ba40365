#include "worker/checkpoint/container/exact_cover.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr size_t kMaxCorners = 4 * 1000 * 1000;  // of all boxes together

std::string Describe(const Piece& box) {
  return absl::StrCat("the chunk [", absl::StrJoin(box.sizes, ","), "] at [",
                      absl::StrJoin(box.start, ","), "]");
}

bool IsInside(const Piece& box, const std::vector<int64_t>& shape) {
  for (size_t i = 0; i < shape.size(); ++i) {
    if (box.start[i] > shape[i] || box.sizes[i] > shape[i] - box.start[i]) {
      return false;
    }
  }
  return true;
}

int64_t VolumeOf(const std::vector<int64_t>& sizes) {
  int64_t volume = 1;
  for (int64_t size : sizes) volume *= size;
  return volume;
}

// The points at which an odd number of boxes has a corner. They belong to one
// set of elements that lie in an odd number of boxes and to no other, as taking
// differences modulo 2 along each dimension in turn can be undone.
class OddCorners {
 public:
  explicit OddCorners(const std::vector<int64_t>& shape) : shape_(shape) {}

  void Flip(const std::vector<int64_t>& start,
            const std::vector<int64_t>& sizes) {
    for (size_t corner = 0; corner < size_t{1} << shape_.size(); ++corner) {
      int64_t point = 0;  // its number in a grid one larger than the shape
      for (size_t i = 0; i < shape_.size(); ++i) {
        const bool far = corner >> i & 1;
        point = point * (shape_[i] + 1) + start[i] + (far ? sizes[i] : 0);
      }
      if (!points_.insert(point).second) points_.erase(point);
    }
  }

  bool empty() const { return points_.empty(); }

 private:
  const std::vector<int64_t>& shape_;
  absl::flat_hash_set<int64_t> points_;
};

}  // namespace

absl::Status CheckExactCover(const std::vector<int64_t>& shape,
                             const std::vector<Piece>& boxes) {
  int64_t left = VolumeOf(shape);
  for (const Piece& box : boxes) {
    if (!IsInside(box, shape)) {
      return absl::DataLossError(absl::StrCat(Describe(box),
                                              " leaves the shape [",
                                              absl::StrJoin(shape, ","), "]"));
    }
    left -= VolumeOf(box.sizes);
    if (left < 0) {
      return absl::DataLossError(
          absl::StrCat(Describe(box), " overlaps another"));
    }
  }
  if (left > 0) {
    return absl::DataLossError(
        absl::StrCat("its chunks leave ", left, " elements out"));
  }
  if (boxes.size() == 1) return absl::OkStatus();
  // Volumes add up. If also each element is in an odd number of boxes, it is in
  // at least one, hence in exactly one.
  if (boxes.size() > kMaxCorners >> shape.size()) {
    return absl::UnimplementedError(
        absl::StrCat(boxes.size(), " chunks of rank ", shape.size(),
                     " are more than are read"));
  }
  OddCorners corners(shape);
  for (const Piece& box : boxes) corners.Flip(box.start, box.sizes);
  corners.Flip(std::vector<int64_t>(shape.size(), 0), shape);
  if (corners.empty()) return absl::OkStatus();
  return absl::DataLossError("its chunks overlap");
}

}  // namespace sinkwatch::checkpoint
