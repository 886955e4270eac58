import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { LdapAttempts } from '../../../../src/identity/provider/ldap-attempts.js';
import { StillClock } from '../../../support/memory-iam.js';

let clock: StillClock;
let attempts: LdapAttempts;
const address = '192.0.2.1';

beforeEach(() => {
  clock = new StillClock();
  attempts = new LdapAttempts({ clock, random: randomBytes });
});

/** How many are let through, one after the other, all of them failing. */
function letThrough(count: number, login: (index: number) => string, from: (index: number) => string): number {
  let through = 0;
  for (let index = 0; index < count; index++) if (attempts.begin(login(index), from(index)) !== null) through++;
  return through;
}

describe('failed logins', () => {
  it('of one name end after ten, from wherever they come, and go on slowly', () => {
    expect(
      letThrough(
        1000,
        () => 'sisko',
        (index) => `192.0.2.${index % 250}`,
      ),
    ).toBe(10);
    clock.ms += 6_000;
    expect(
      letThrough(
        10,
        () => 'sisko',
        () => address,
      ),
    ).toBe(1);
    clock.ms += 3_600_000;
    expect(
      letThrough(
        1000,
        () => 'sisko',
        (index) => `198.51.100.${index % 250}`,
      ),
    ).toBe(10);
  });

  it('of a name in another spelling are those of the name', () => {
    expect(
      letThrough(
        100,
        (index) => [' SISKO', 'sisko', 'Sisko '][index % 3] ?? '',
        (index) => `192.0.2.${index}`,
      ),
    ).toBe(10);
  });

  it('from one address end after a hundred, whatever the names', () => {
    expect(
      letThrough(
        5000,
        (index) => `user${index}`,
        () => address,
      ),
    ).toBe(100);
    expect(attempts.begin('sisko', '192.0.2.2')).not.toBeNull();
  });

  it('from one network of IPv6 are from one source', () => {
    expect(
      letThrough(
        5000,
        (index) => `user${index}`,
        (index) => `2001:db8::${(index + 1).toString(16)}`,
      ),
    ).toBe(100);
    expect(
      letThrough(
        5,
        (index) => `other${index}`,
        () => '2001:db8:0:1::1',
      ),
    ).toBe(5);
  });

  it('that did not fail do not count', () => {
    for (let index = 0; index < 1000; index++) {
      const attempt = attempts.begin('sisko', address);
      expect(attempt).not.toBeNull();
      attempt?.didNotFail();
      // Twice is once.
      attempt?.didNotFail();
    }
    expect(
      letThrough(
        100,
        () => 'sisko',
        () => address,
      ),
    ).toBe(10);
  });

  it('at once are counted before they have failed', () => {
    const begun = Array.from({ length: 50 }, () => attempts.begin('sisko', address));
    expect(begun.filter((attempt) => attempt !== null).length).toBe(10);
  });

  it('of a flood of names leave the limit of a name as it is', () => {
    expect(
      letThrough(
        10,
        () => 'sisko',
        () => address,
      ),
    ).toBe(10);
    letThrough(
      20_000,
      (index) => `flood${index}`,
      (index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
    );
    expect(attempts.begin('sisko', '203.0.113.9')).toBeNull();
  });
});
