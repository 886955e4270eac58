import { describe, expect, it } from 'vitest';
import { Roster } from '../../../src/base/index.js';
import { seededRandom } from '../../support/seeded-random.js';

interface Member {
  readonly name: number;
  rosterIndex: number;
}

const seen = (roster: Roster<Member>): number[] => {
  const names: number[] = [];
  roster.visit(({ name }) => names.push(name));
  return names.sort((a, b) => a - b);
};

describe('a roster', () => {
  it('holds what a set would, whoever comes and goes', () => {
    const random = seededRandom(1);
    const members = Array.from({ length: 40 }, (_, name): Member => ({ name, rosterIndex: -1 }));
    const roster = new Roster<Member>();
    const model = new Set<Member>();
    for (let step = 0; step < 5000; step++) {
      const member = members[Math.floor(random() * members.length)]!;
      if (random() < 0.5) {
        roster.add(member);
        model.add(member);
      } else {
        roster.delete(member);
        model.delete(member);
      }
      expect(roster.size).toBe(model.size);
      expect(roster.has(member)).toBe(model.has(member));
      if (step % 100 === 0) expect(seen(roster)).toEqual([...model].map(({ name }) => name).sort((a, b) => a - b));
    }
  });

  it('visits each member once, also when members leave on the way', () => {
    const roster = new Roster<Member>();
    for (let name = 0; name < 10; name++) roster.add({ name, rosterIndex: -1 });
    const visited: number[] = [];
    roster.visit((member) => {
      visited.push(member.name);
      roster.delete(member);
    });
    expect(visited).toHaveLength(10);
    expect(roster.size).toBe(0);
  });
});
