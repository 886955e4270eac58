#include "run.h"

#include <errno.h>

#include "checksum.h"

namespace granary::index {
namespace {

// A block is what one look-up reads: a few pages, so that its entries share the call and the checksum.
constexpr size_t kBlockBytes = size_t{16} << 10;
constexpr size_t kEntryHeadBytes = 6;
constexpr uint32_t kDeletion = 0xffffffff;
constexpr char kMagic[] = "GRNYRUN1";
constexpr size_t kMagicBytes = 8;
constexpr size_t kFooterBytes = 64;
constexpr uint32_t kFormatVersion = 1;
// Ten bits a key and seven probes: about one look-up in a hundred reads a block for nothing.
constexpr uint64_t kFilterBitsPerKey = 10;
constexpr int kFilterProbes = 7;
constexpr size_t kTailBytesMax = size_t{1} << 31;

uint64_t Mix(uint64_t value) {
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93;
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93;
  return value ^ (value >> 32);
}

uint64_t HashOf(Slice key) {
  uint64_t hash = Mix(0x2545f4914f6cdd1d ^ key.bytes);
  size_t at = 0;
  for (; at + 8 <= key.bytes; at += 8) hash = Mix(hash ^ ReadNumber<uint64_t>(key.data + at));
  uint64_t rest = 0;
  if (at < key.bytes) memcpy(&rest, key.data + at, key.bytes - at);
  return Mix(hash ^ rest);
}

// The bits of a key in a filter. The second hash is odd: every probe is another bit.
class Probes {
 public:
  Probes(uint64_t hash, uint64_t bits) : at_(hash), step_(Mix(hash) | 1), bits_(bits) {}
  uint64_t Next() {
    const uint64_t bit = at_ % bits_;
    at_ += step_;
    return bit;
  }

 private:
  uint64_t at_;
  const uint64_t step_;
  const uint64_t bits_;
};

}  // namespace

// --- blocks ---

bool Block::Take(std::vector<uint8_t> bytes) {
  bytes_ = std::move(bytes);
  if (bytes_.size() < 8) return false;
  const size_t end = bytes_.size() - 4;
  if (Crc32c(bytes_.data(), end) != ReadNumber<uint32_t>(bytes_.data() + end)) return false;
  count_ = ReadNumber<uint32_t>(bytes_.data() + end - 4);
  if (count_ == 0 || count_ > (end - 4) / 4) return false;
  const size_t tableAt = end - 4 - size_t{4} * count_;
  table_ = bytes_.data() + tableAt;
  // The checksum says that the bytes are ours; this, that they are sound: no later read can leave them.
  for (uint32_t index = 0; index < count_; index++) {
    const size_t at = ReadNumber<uint32_t>(table_ + 4 * index);
    if (at > tableAt || tableAt - at < kEntryHeadBytes) return false;
    const size_t keyBytes = ReadNumber<uint16_t>(EntryAt(index));
    const uint32_t valueBytes = ReadNumber<uint32_t>(EntryAt(index) + 2);
    const size_t payload = keyBytes + (valueBytes == kDeletion ? 0 : valueBytes);
    if (tableAt - at - kEntryHeadBytes < payload) return false;
  }
  return true;
}

Slice Block::KeyAt(uint32_t index) const {
  const uint8_t* entry = EntryAt(index);
  return {entry + kEntryHeadBytes, ReadNumber<uint16_t>(entry)};
}

bool Block::IsDeletionAt(uint32_t index) const { return ReadNumber<uint32_t>(EntryAt(index) + 2) == kDeletion; }

Slice Block::ValueAt(uint32_t index) const {
  const uint8_t* entry = EntryAt(index);
  const uint32_t bytes = ReadNumber<uint32_t>(entry + 2);
  return {entry + kEntryHeadBytes + ReadNumber<uint16_t>(entry), bytes == kDeletion ? 0 : bytes};
}

uint32_t Block::LowerBound(Slice key) const {
  uint32_t low = 0;
  uint32_t high = count_;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (Compare(KeyAt(middle), key) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

std::shared_ptr<const Block> BlockCache::Find(uint64_t run, uint32_t block) {
  const auto found = byKey_.find({run, block});
  if (found == byKey_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->kept;
}

void BlockCache::Keep(uint64_t run, uint32_t block, std::shared_ptr<const Block> bytes) {
  bytes_ += bytes->bytes();
  entries_.push_front({run, block, std::move(bytes)});
  byKey_[{run, block}] = entries_.begin();
  while (bytes_ > bytesMax_ && entries_.size() > 1) {
    const Entry& oldest = entries_.back();
    bytes_ -= oldest.kept->bytes();
    byKey_.erase({oldest.run, oldest.block});
    entries_.pop_back();
  }
}

void BlockCache::Clear() {
  entries_.clear();
  byKey_.clear();
  bytes_ = 0;
}

// --- reading ---

std::shared_ptr<Run> Run::Open(const Folder& folder, const std::string& name, uint64_t id, uint32_t level,
                               Reason* failure) {
  auto run = std::make_shared<Run>();
  run->path_ = folder.PathOf(name);
  run->id_ = id;
  run->level_ = level;
  const int error = run->file_->OpenForReading(folder, name);
  if (error != 0) {
    *failure = ReasonOf("open", run->path_, error);
    return nullptr;
  }
  return run->ReadTail(failure) ? run : nullptr;
}

bool Run::ReadTail(Reason* failure) {
  uint8_t footer[kFooterBytes];
  int error = file_->Bytes(&fileBytes_);
  if (error == 0 && fileBytes_ < kFooterBytes) error = EIO;
  if (error == 0) error = file_->ReadAt(fileBytes_ - kFooterBytes, footer, kFooterBytes);
  if (error != 0) {
    *failure = ReasonOf("read", path_, error);
    return false;
  }
  *failure = {path_ + " is damaged"};
  if (memcmp(footer, kMagic, kMagicBytes) != 0 || ReadNumber<uint32_t>(footer + 8) != kFormatVersion) return false;
  if (Crc32c(footer, kFooterBytes - 4) != ReadNumber<uint32_t>(footer + kFooterBytes - 4)) return false;
  const uint32_t blockCount = ReadNumber<uint32_t>(footer + 12);
  entryCount_ = ReadNumber<uint64_t>(footer + 16);
  const uint64_t tailOffset = ReadNumber<uint64_t>(footer + 24);
  const uint64_t tableBytes = ReadNumber<uint64_t>(footer + 32);
  const uint64_t filterBytes = ReadNumber<uint64_t>(footer + 40);
  const uint32_t tailCrc = ReadNumber<uint32_t>(footer + 48);
  deletionCount_ = ReadNumber<uint64_t>(footer + 52);
  if (tableBytes > kTailBytesMax || filterBytes > kTailBytesMax || filterBytes == 0) return false;
  if (tailOffset > fileBytes_ || fileBytes_ - tailOffset != tableBytes + filterBytes + kFooterBytes) return false;
  tail_.resize(static_cast<size_t>(tableBytes + filterBytes));
  error = file_->ReadAt(tailOffset, &tail_[0], tail_.size());
  if (error != 0) {
    *failure = ReasonOf("read", path_, error);
    return false;
  }
  if (Crc32c(tail_.data(), tail_.size()) != tailCrc) return false;
  const auto* table = reinterpret_cast<const uint8_t*>(tail_.data());
  size_t at = 0;
  for (uint32_t index = 0; index < blockCount; index++) {
    if (tableBytes - at < 14) return false;
    const uint64_t offset = ReadNumber<uint64_t>(table + at);
    const uint32_t bytes = ReadNumber<uint32_t>(table + at + 8);
    const uint32_t keyBytes = ReadNumber<uint16_t>(table + at + 12);
    at += 14;
    if (tableBytes - at < keyBytes || offset > tailOffset || tailOffset - offset < bytes) return false;
    blocks_.push_back({offset, bytes, static_cast<uint32_t>(at), keyBytes});
    at += keyBytes;
  }
  if (at != tableBytes) return false;
  filter_ = table + tableBytes;
  filterBits_ = filterBytes * 8;
  *failure = {};
  return true;
}

uint64_t Run::FilterHashOf(Slice key) { return HashOf(key); }

bool Run::MayHave(uint64_t filterHash) const {
  Probes probes(filterHash, filterBits_);
  for (int probe = 0; probe < kFilterProbes; probe++) {
    const uint64_t bit = probes.Next();
    // Of a key that is not here, half of the bits are not set: two probes tell, mostly.
    if ((filter_[bit / 8] & (1u << (bit % 8))) == 0) return false;
  }
  return true;
}

uint32_t Run::BlockFor(Slice key) const {
  uint32_t low = 0;
  uint32_t high = blockCount();
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (Compare(LastKeyOf(blocks_[middle]), key) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

int Run::Read(const BlockPlace& place, uint8_t* bytes, const Reading* reading) const {
  if (reading == nullptr) return file_->ReadAt(place.offset, bytes, place.bytes);
  if (file_->ReadIfInMemory(place.offset, bytes, place.bytes)) return 0;
  return reading->disk->ReadAt(file_, place.offset, bytes, place.bytes);
}

std::shared_ptr<const Block> Run::ReadBlock(uint32_t block, const Reading* reading, Reason* failure) const {
  if (reading != nullptr) {
    std::shared_ptr<const Block> found = reading->cache->Find(id_, block);
    if (found) return found;
  }
  const BlockPlace& place = blocks_[block];
  std::vector<uint8_t> bytes(place.bytes);
  const int error = Read(place, bytes.data(), reading);
  if (error == ETIMEDOUT) {
    *failure = {path_ + " does not answer", true};
    return nullptr;
  }
  if (error != 0) {
    *failure = {Failure("read", path_, error)};
    return nullptr;
  }
  auto read = std::make_shared<Block>();
  if (!read->Take(std::move(bytes))) {
    *failure = {path_ + " is damaged"};
    return nullptr;
  }
  if (reading != nullptr) reading->cache->Keep(id_, block, read);
  return read;
}

namespace {

class RunCursor : public Cursor {
 public:
  RunCursor(std::shared_ptr<const Run> run, const Reading* reading) : run_(std::move(run)), reading_(reading) {}

  void Seek(Slice key) override {
    if (!Enter(run_->BlockFor(key))) return;
    // The block's last key is at or after the key, so there is such an entry.
    at_ = block_->LowerBound(key);
  }

  void SeekBefore(Slice key) override {
    uint32_t number = run_->BlockFor(key);
    if (number == run_->blockCount()) {
      // Every key is before it.
      if (number == 0 || !Enter(number - 1)) return Leave();
      at_ = block_->count() - 1;
      return;
    }
    if (!Enter(number)) return;
    at_ = block_->LowerBound(key);
    StepBack();
  }

  void Next() override {
    if (++at_ < block_->count()) return;
    if (Enter(number_ + 1)) at_ = 0;
  }
  void Previous() override { StepBack(); }
  bool IsValid() const override { return block_ != nullptr; }
  Slice key() const override { return block_->KeyAt(at_); }
  Slice value() const override { return block_->ValueAt(at_); }
  bool IsDeletion() const override { return block_->IsDeletionAt(at_); }
  const Reason& failure() const override { return failure_; }

 private:
  void Leave() { block_ = nullptr; }

  bool Enter(uint32_t number) {
    number_ = number;
    block_ = number < run_->blockCount() ? run_->ReadBlock(number, reading_, &failure_) : nullptr;
    return block_ != nullptr;
  }

  void StepBack() {
    if (at_ > 0) {
      at_--;
    } else if (number_ == 0) {
      Leave();
    } else if (Enter(number_ - 1)) {
      at_ = block_->count() - 1;
    }
  }

  const std::shared_ptr<const Run> run_;
  const Reading* const reading_;
  std::shared_ptr<const Block> block_;
  uint32_t number_ = 0;
  uint32_t at_ = 0;
  Reason failure_;
};

}  // namespace

std::unique_ptr<Cursor> Run::CursorOf(std::shared_ptr<const Run> run, const Reading* reading) {
  return std::make_unique<RunCursor>(std::move(run), reading);
}

// --- writing ---

int RunWriter::Begin(const Folder& folder, const std::string& name) { return file_.Create(folder, name); }

int RunWriter::Write(const std::string& bytes) {
  offset_ += bytes.size();
  return file_.Append(bytes.data(), bytes.size());
}

int RunWriter::Add(Slice key, Slice value, bool isDeletion) {
  AppendNumber<uint32_t>(&offsets_, static_cast<uint32_t>(block_.size()));
  AppendNumber<uint16_t>(&block_, static_cast<uint16_t>(key.bytes));
  AppendNumber<uint32_t>(&block_, isDeletion ? kDeletion : static_cast<uint32_t>(value.bytes));
  block_.append(reinterpret_cast<const char*>(key.data), key.bytes);
  if (value.bytes > 0) block_.append(reinterpret_cast<const char*>(value.data), value.bytes);
  lastKey_.assign(reinterpret_cast<const char*>(key.data), key.bytes);
  hashes_.push_back(HashOf(key));
  if (isDeletion) deletionCount_++;
  return block_.size() + offsets_.size() >= kBlockBytes ? EndBlock() : 0;
}

int RunWriter::EndBlock() {
  const uint32_t count = static_cast<uint32_t>(offsets_.size() / 4);
  if (count == 0) return 0;
  block_.append(offsets_);
  AppendNumber<uint32_t>(&block_, count);
  AppendNumber<uint32_t>(&block_, Crc32c(block_.data(), block_.size()));
  AppendNumber<uint64_t>(&table_, offset_);
  AppendNumber<uint32_t>(&table_, static_cast<uint32_t>(block_.size()));
  AppendNumber<uint16_t>(&table_, static_cast<uint16_t>(lastKey_.size()));
  table_.append(lastKey_);
  blockCount_++;
  const int error = Write(block_);
  block_.clear();
  offsets_.clear();
  return error;
}

int RunWriter::Finish() {
  int error = EndBlock();
  if (error != 0) return error;
  const uint64_t entryCount = hashes_.size();
  std::string tail = table_;
  std::string filter(static_cast<size_t>(entryCount * kFilterBitsPerKey / 8 + 8), '\0');
  for (const uint64_t hash : hashes_) {
    Probes probes(hash, filter.size() * 8);
    for (int probe = 0; probe < kFilterProbes; probe++) {
      const uint64_t bit = probes.Next();
      filter[bit / 8] = static_cast<char>(filter[bit / 8] | (1 << (bit % 8)));
    }
  }
  tail.append(filter);
  std::string footer(kMagic, kMagicBytes);
  AppendNumber<uint32_t>(&footer, kFormatVersion);
  AppendNumber<uint32_t>(&footer, blockCount_);
  AppendNumber<uint64_t>(&footer, entryCount);
  AppendNumber<uint64_t>(&footer, offset_);
  AppendNumber<uint64_t>(&footer, table_.size());
  AppendNumber<uint64_t>(&footer, filter.size());
  AppendNumber<uint32_t>(&footer, Crc32c(tail.data(), tail.size()));
  AppendNumber<uint64_t>(&footer, deletionCount_);
  AppendNumber<uint32_t>(&footer, Crc32c(footer.data(), footer.size()));
  error = Write(tail);
  if (error == 0) error = Write(footer);
  if (error == 0) error = file_.Sync();
  const int closeError = file_.Close();
  return error != 0 ? error : closeError;
}

}  // namespace granary::index
