// Loaded before a server (`--import`): its wall clock is ahead by the milliseconds that a file says, at any time.
import { readFileSync } from 'node:fs';

const file = process.env.GRANARY_TEST_CLOCK_SHIFT_FILE;
const now = Date.now.bind(Date);
let shiftMs = 0;
let readMs = -Infinity;

Date.now = () => {
  if (performance.now() - readMs > 20) {
    readMs = performance.now();
    shiftMs = Number(readFileSync(file, 'utf8'));
  }
  return now() + shiftMs;
};
