// A position in an ordered collection of entries. Deletions are entries too: they hide older ones below.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bytes.h"

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
  virtual const std::string& failure() const = 0;
};

// Several collections as one, the newest first: of entries with the same key the newest counts.
// Goes in one direction between two seeks: Next after Seek, Previous after SeekBefore.
class MergingCursor : public Cursor {
 public:
  explicit MergingCursor(std::vector<std::unique_ptr<Cursor>> sources) : sources_(std::move(sources)) {}

  void Seek(Slice key) override;
  void SeekBefore(Slice key) override;
  void Next() override { Advance(); }
  void Previous() override { Advance(); }
  bool IsValid() const override { return current_ != nullptr; }
  Slice key() const override { return current_->key(); }
  Slice value() const override { return current_->value(); }
  bool IsDeletion() const override { return current_->IsDeletion(); }
  const std::string& failure() const override { return failure_; }

 private:
  void Advance();
  void Choose();

  std::vector<std::unique_ptr<Cursor>> sources_;
  Cursor* current_ = nullptr;
  bool isForward_ = true;
  std::string key_;
  std::string failure_;
};

}  // namespace granary::index
