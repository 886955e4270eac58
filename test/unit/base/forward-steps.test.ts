import { beforeEach, expect, test } from 'vitest';
import { ForwardSteps } from '../../../src/base/index.js';

let wallMs: number;
let monotonicMs: number;
let steps: ForwardSteps;

beforeEach(() => {
  wallMs = 1_000_000;
  monotonicMs = 50;
  steps = new ForwardSteps({ nowMs: () => wallMs, monotonicMs: () => monotonicMs });
});

function pass(ms: number): void {
  wallMs += ms;
  monotonicMs += ms;
}

const isRecent = () => steps.isRecent(100, 1000);

test('time that passes is no step, however long nobody looked', () => {
  pass(1_000_000);
  expect(isRecent()).toBe(false);
});

test('a step forward is recent for as long as was asked', () => {
  wallMs += 101;
  expect(isRecent()).toBe(true);
  pass(999);
  expect(isRecent()).toBe(true);
  pass(1);
  expect(isRecent()).toBe(false);
});

test('what is small, and what goes back, is no step forward', () => {
  wallMs += 100;
  expect(isRecent()).toBe(false);
  wallMs -= 5000;
  expect(isRecent()).toBe(false);
});

test('to be put right after a step back is one', () => {
  wallMs -= 5000;
  expect(isRecent()).toBe(false);
  wallMs += 5000;
  expect(isRecent()).toBe(true);
});
