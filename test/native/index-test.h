#pragma once

#include "check.h"

// Random changes of a store against a map, with runs written and merged by its thread meanwhile.
void TestIndexStore(test::Random* random);
// Deletions in a row are passed once.
void TestEmptyStretches();
void TestManyStretches(test::Random* random);
// Deletions are cleared away when they are many.
void TestTidying();
// What hangs in a call to the disk holds up nobody else.
void TestHangingClose();
// A store that was left hanging does nothing to the one that comes to lie in its place.
void TestLeftStore();
