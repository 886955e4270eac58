#pragma once

#include "check.h"

// Random changes of a store against a map, with runs written and merged by its thread meanwhile.
void TestIndexStore(test::Random* random);
