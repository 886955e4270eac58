import { afterEach, describe, expect, it, vi } from 'vitest';
import { DeferredGarbage } from '../../../src/object/deferred-garbage.js';
import { garbageKey } from '../../../src/object/index-keys.js';
import type { IndexState } from '../../../src/object/index-state.js';
import type { Garbage } from '../../../src/object/staging.js';

afterEach(() => {
  vi.useRealTimers();
});

describe('dropped bytes that stay for a while', () => {
  it('are released after the delay, in order, each once, and what is younger is not', () => {
    vi.useFakeTimers();
    let nowMs = 0;
    const pass = (ms: number): void => {
      for (let at = 0; at < ms; at += 100) {
        nowMs += 100;
        vi.advanceTimersByTime(100);
      }
    };
    const stored: Garbage[] = [];
    const drop = (order: number): Garbage => {
      const garbage: Garbage = {
        key: garbageKey(order, 0),
        dataOrder: order,
        target: { kind: 'blob', name: String(order) },
      };
      stored.push(garbage);
      return garbage;
    };
    const index = {
      garbageBetween: (after: number, last: number) =>
        stored.filter(({ dataOrder }) => dataOrder > after && dataOrder <= last),
    } as unknown as IndexState;
    const released: string[] = [];
    const release = (garbage: Iterable<Garbage>): void => {
      for (const { target } of garbage) if (target.kind === 'blob') released.push(target.name);
    };
    const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
    // From before the start.
    drop(3);
    const deferred = new DeferredGarbage(index, 1000, clock, release, 5);
    deferred.start();
    pass(500);
    deferred.add([drop(7), drop(9)]);
    pass(400);
    expect(released).toEqual([]);
    pass(200);
    expect(released).toEqual(['3']);
    pass(300);
    deferred.add([drop(11)]);
    pass(400);
    expect(released).toEqual(['3', '7', '9']);
    deferred.close();
    pass(5000);
    expect(released).toEqual(['3', '7', '9']);
  });
});
