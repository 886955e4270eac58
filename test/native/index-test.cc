#include "index-test.h"

#include <dirent.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../../native/index/store.h"

using granary::index::Cursor;
using granary::index::Slice;
using granary::index::SliceOf;
using granary::index::Store;
using granary::index::StoreHandle;
using granary::index::StoreOptions;
using granary::index::StringOf;

namespace {

using Model = std::map<std::string, std::string>;

std::string KeyFrom(test::Random* random) {
  return "key" + std::to_string(random->Below(300)) + std::string(random->Below(40), 'k');
}

void ExpectSame(Store* store, const Model& model, test::Random* random) {
  const std::string from = KeyFrom(random);
  std::unique_ptr<Cursor> cursor = store->CursorOf();
  auto expected = model.lower_bound(from);
  for (cursor->Seek(SliceOf(from)); cursor->IsValid(); cursor->Next()) {
    if (cursor->IsDeletion()) continue;
    EXPECT(expected != model.end(), "one entry too many");
    if (expected == model.end()) return;
    EXPECT(StringOf(cursor->key()) == expected->first, "key %s", expected->first.c_str());
    EXPECT(StringOf(cursor->value()) == expected->second, "value of %s", expected->first.c_str());
    ++expected;
  }
  EXPECT(cursor->failure().empty(), "%s", cursor->failure().c_str());
  EXPECT(expected == model.end(), "entries are missing");
  auto before = model.lower_bound(from);
  for (cursor->SeekBefore(SliceOf(from)); cursor->IsValid(); cursor->Previous()) {
    if (cursor->IsDeletion()) continue;
    EXPECT(before != model.begin(), "one entry too many before");
    if (before == model.begin()) return;
    --before;
    EXPECT(StringOf(cursor->key()) == before->first, "key %s", before->first.c_str());
  }
  EXPECT(before == model.begin(), "entries before are missing");
  const std::string one = KeyFrom(random);
  Slice value;
  std::string failure;
  const bool isThere = store->Get(SliceOf(one), &value, &failure) == Store::Found::kValue;
  const auto found = model.find(one);
  EXPECT(isThere == (found != model.end()), "look-up of %s", one.c_str());
  if (isThere && found != model.end()) EXPECT(StringOf(value) == found->second, "value of %s", one.c_str());
}

void RemoveFolder(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return;
  for (const dirent* entry = readdir(directory); entry != nullptr; entry = readdir(directory)) {
    unlink((path + "/" + entry->d_name).c_str());
  }
  closedir(directory);
  rmdir(path.c_str());
}

}  // namespace

void TestIndexStore(test::Random* random) {
  char folder[] = "/tmp/granary-index-XXXXXX";
  EXPECT(mkdtemp(folder) != nullptr, "a folder");
  // Small enough that a run is written every few batches, and merged a few times.
  const StoreOptions options{folder, 24 << 10, 64 << 10, 60000};
  Model model;
  for (int opening = 0; opening < 4; opening++) {
    std::string failure;
    const StoreHandle store = Store::Open(options, &failure);
    EXPECT(store != nullptr, "%s", failure.c_str());
    if (!store) break;
    ExpectSame(store.get(), model, random);
    for (int batch = 0; batch < 300; batch++) {
      const size_t changes = 1 + random->Below(30);
      for (size_t change = 0; change < changes; change++) {
        const std::string key = KeyFrom(random);
        if (random->Below(4) == 0) {
          store->Delete(SliceOf(key));
          model.erase(key);
        } else {
          const std::string value(random->Below(random->Below(20) == 0 ? 40000 : 200), 'a' + random->Below(26));
          store->Put(SliceOf(key), SliceOf(value));
          model[key] = value;
        }
      }
      store->EndBatch();
      if (batch % 10 == 0) ExpectSame(store.get(), model, random);
    }
    const auto figures = store->Figures();
    EXPECT(figures.runCount > 0 || figures.flushes == 0, "runs are written");
    if (opening == 2) {
      EXPECT(store->Clear().empty(), "clear");
      model.clear();
      ExpectSame(store.get(), model, random);
    }
    EXPECT(store->Close().empty(), "close");
  }
  RemoveFolder(folder);
}
