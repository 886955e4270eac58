// A position in an ordered collection of entries. Deletions are entries too: they hide older ones below.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bytes.h"
#include "file.h"

namespace granary::index {

class Cursor {
 public:
  virtual ~Cursor() = default;

  // To the first entry at or after `key`; to the last one before it.
  virtual void Seek(Slice key) = 0;
  virtual void SeekBefore(Slice key) = 0;
  // Requires IsValid.
  virtual void Next() = 0;
  virtual void Previous() = 0;
  virtual bool IsValid() const = 0;
  // Borrowed until the cursor moves.
  virtual Slice key() const = 0;
  virtual Slice value() const = 0;
  virtual bool IsDeletion() const = 0;
  // Empty, or why the cursor stopped being valid before its end.
  virtual const Reason& failure() const = 0;
};

// Several collections as one, the newest first: of entries with the same key the newest counts.
// Goes in one direction between two seeks: Next after Seek, Previous after SeekBefore. As long as one source has the
// next keys alone, each costs one comparison; a change of source costs about log2 of their number.
class MergingCursor : public Cursor {
 public:
  explicit MergingCursor(std::vector<std::unique_ptr<Cursor>> sources) : sources_(std::move(sources)) {
    heads_.reserve(sources_.size());
  }

  void Seek(Slice key) override;
  void SeekBefore(Slice key) override;
  void Next() override { Advance(); }
  void Previous() override { Advance(); }
  bool IsValid() const override { return !heads_.empty(); }
  Slice key() const override { return heads_.front().key; }
  Slice value() const override { return heads_.front().source->value(); }
  bool IsDeletion() const override { return heads_.front().source->IsDeletion(); }
  const Reason& failure() const override { return failure_; }

 private:
  // A source that has an entry, and where it stands.
  struct Head {
    Cursor* source;
    Slice key;
    // Its index among the sources: the newest is 0.
    size_t age;
  };

  void Gather();
  void Advance();
  bool GoesBefore(const Head& one, const Head& other) const;
  bool HasFailed(const Cursor& source);

  std::vector<std::unique_ptr<Cursor>> sources_;
  // In the order of this cursor's direction, the newest first among equal keys: the first is the current one.
  std::vector<Head> heads_;
  bool isForward_ = true;
  Reason failure_;
};

}  // namespace granary::index
