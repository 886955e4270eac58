import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Dn } from '../../../../src/identity/provider/ldap-dn.js';

const text = (dn: string): string | undefined => Dn.parse(dn)?.text;

describe('one name, however it is spelled', () => {
  it.each([
    ['cn=sisko,dc=example', ' CN = sisko , DC=example '],
    ['cn=sisko,dc=example', 'cn=sisko;dc=example'],
    ['cn=a\\, b\\+c,dc=x', 'cn=a\\2c b\\2Bc,dc=x'],
    ['cn=a\\, b\\+c,dc=x', 'cn="a, b+c",dc=x'],
    ['cn=a+uid=b,dc=x', 'UID=b + CN=a,dc=x'],
    ['cn=jos\\c3\\a9', 'cn=josé'],
    ['cn=jos\\c3\\a9', 'cn=jos\\C3\\A9'],
    ['cn=\\ a\\ ', 'cn=\\ a\\20'],
    ['cn=a b', 'cn=  a b  '],
    ['cn=\\#a', 'cn=\\#a'],
    ['cn=hello', 'cn=#0405 68656c6c6f'.replace(' ', '')],
    ['cn=a\\"b\\\\c\\<d\\>e\\;f', 'cn=a\\"b\\\\c\\<d\\>e\\;f'],
    ['cn=a=b', 'cn=a=b'],
    ['cn=a\\0db', 'cn=a\\0Db'],
    ['1.2.3=x', '1.2.3=x'],
    ['cn=\\f0\\9f\\98\\80', 'cn=😀'],
  ])('%s', (normal, spelled) => {
    expect(text(spelled)).toBe(normal);
    expect(text(normal)).toBe(normal);
  });

  it('keeps the case of values, which the directory decides about', () => {
    expect(text('cn=Sisko,dc=example')).not.toBe(text('cn=sisko,dc=example'));
  });

  it('shows as little escaped as can be read back', () => {
    expect(Dn.parse('cn=jos\\c3\\a9\\, a,dc=x')?.readable).toBe('cn=josé\\, a,dc=x');
  });
});

describe('what is no name', () => {
  it.each([
    '',
    '   ',
    'sisko',
    'cn=',
    'cn=a,',
    ',cn=a',
    'cn=a,,dc=b',
    'cn=a+',
    '=a',
    'c n=a',
    '1.=a',
    'cn=a\\',
    'cn=a\\zz',
    'cn="a',
    'cn="a"b',
    'cn=a<b',
    'cn=#',
    'cn=#04',
    'cn=#0405',
    'cn=#0305aaaaaaaaaa',
    'cn=\\ff',
    'cn=\ud800',
    `cn=${'a'.repeat(3000)}`,
    Array(65).fill('dc=x').join(','),
  ])('%s', (spelled) => {
    expect(Dn.parse(spelled)).toBeNull();
  });
});

describe('where a name lies', () => {
  const within = (dn: string, base: string) => Dn.parse(dn)?.isWithin(Dn.parse(base) as Dn);

  it('is told by its parts, not by its end', () => {
    expect(within('cn=a,cn=users,dc=x', 'CN=Users,dc=x')).toBe(true);
    expect(within('cn=users,dc=x', 'cn=users,dc=x')).toBe(true);
    expect(within('cn=a\\,cn=users,dc=x', 'cn=users,dc=x')).toBe(false);
    expect(within('cn=a,xcn=users,dc=x', 'cn=users,dc=x')).toBe(false);
    expect(within('dc=x', 'cn=users,dc=x')).toBe(false);
  });
});

describe('any name', () => {
  const value = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((one) => !/\p{Cs}/u.test(one));
  const part = fc.array(fc.tuple(fc.constantFrom('cn', 'uid', 'ou', 'dc'), value), { minLength: 1, maxLength: 3 });
  const escapeAll = (one: string) => Buffer.from(one).toString('hex').replace(/../g, '\\$&');

  it('is one text, which means itself', () => {
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
        const spelled = parts
          .map((pairs) => pairs.map(([type, one]) => `${type}=${escapeAll(one)}`).join('+'))
          .join(',');
        const dn = Dn.parse(spelled);
        expect(dn).not.toBeNull();
        expect(dn?.text).toMatch(/^[\x20-\x7e]+$/);
        expect(text(dn?.text ?? '')).toBe(dn?.text);
        expect(text(dn?.readable ?? '')).toBe(dn?.text);
        const values = parts.map((pairs) => pairs.map(([, one]) => one).sort());
        expect(dn?.parts.map((one) => one.map((attribute) => attribute.value).sort())).toEqual(values);
      }),
      // A single space is at both edges.
      { examples: [[[[['cn', ' ']]]]] },
    );
  });

  it('never makes two names of which one is not the other', () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        const same = text(`cn=${escapeAll(a)}`) === text(`cn=${escapeAll(b)}`);
        expect(same).toBe(a === b);
      }),
    );
  });

  it('of anything that comes along is one or none, and nothing is thrown', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (spelled) => {
        const found = text(spelled);
        if (found !== undefined) expect(text(found)).toBe(found);
      }),
    );
  });
});
