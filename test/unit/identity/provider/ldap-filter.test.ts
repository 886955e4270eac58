import fc from 'fast-check';
import { BerWriter, FilterParser, type Filter } from 'ldapts';
import { describe, expect, it } from 'vitest';
import { FilterTemplate, type FilterValues } from '../../../../src/identity/provider/ldap-filter.js';

function bytesOf(filter: Filter): string {
  const writer = new BerWriter();
  filter.write(writer);
  return writer.buffer.toString('hex');
}

function filled(template: string, values: Partial<FilterValues> = {}): string {
  const found = FilterTemplate.parse(template);
  if (found === null) throw new Error(`no filter: ${template}`);
  return bytesOf(found.with({ login: 'sisko', dn: 'cn=sisko,dc=x', ...values }));
}

/** The library's own reading of a filter that needs no care. */
const plain = (filter: string) => bytesOf(FilterParser.parseString(filter));

describe('a filter of the settings', () => {
  it.each([
    ['(uid=%s)', '(uid=sisko)'],
    ['uid=%s', '(uid=sisko)'],
    ['(&(objectClass=user)(sAMAccountName=%s))', '(&(objectClass=user)(sAMAccountName=sisko))'],
    [
      '(& (objectClass=user) (|(uid=%s)(mail=%s@example.com)) )',
      '(&(objectClass=user)(|(uid=sisko)(mail=sisko@example.com)))',
    ],
    ['(member:1.2.840.113556.1.4.1941:=%d)', '(member:1.2.840.113556.1.4.1941:=cn=sisko,dc=x)'],
    [
      '(&(uid=%s)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))',
      '(&(uid=sisko)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))',
    ],
    ['(cn=*%s*)', '(cn=*sisko*)'],
    ['(uid=*)', '(uid=*)'],
    ['(age>=18)', '(age>=18)'],
    ['(age<=18)', '(age<=18)'],
    ['(cn~=%s)', '(cn~=sisko)'],
    ['(ou:dn:=people)', '(ou:dn:=people)'],
  ])('%s', (template, meant) => {
    expect(filled(template)).toBe(plain(meant));
  });

  it('reads escaped bytes as what they are', () => {
    // The library makes two characters of one in UTF-8: not here.
    expect(filled('(cn=caf\\c3\\a9)')).toBe(bytesOf(FilterParser.parseString('(cn=café)')));
    expect(filled('(objectGUID=\\ff\\00)')).toContain('ff00');
  });

  it('leaves a value open for those who only ask whether there is one', () => {
    expect(filled('(uid=%s)', { login: null })).toBe(plain('(uid=*)'));
    expect(filled('(mail=%s@example.com)', { login: null })).toBe(plain('(mail=*@example.com)'));
  });

  it('knows what it asks for, and under which name', () => {
    expect(FilterTemplate.parse('(&(a=1)(|(b=%d)(uid=%s)))')).toMatchObject({ hasLogin: true, hasDn: true });
    expect(FilterTemplate.parse('(&(a=1)(uid=%s))')?.loginAttribute).toBe('uid');
    expect(FilterTemplate.parse('(!(uid=%s))')?.loginAttribute).toBeNull();
    expect(FilterTemplate.parse('(mail=%s@x)')?.loginAttribute).toBeNull();
  });

  it.each([
    '',
    '(',
    '()',
    '(uid)',
    '(=%s)',
    '(uid=%s',
    '(uid=%s))',
    '(&)',
    '(!)',
    '(!(a=1)(b=2))',
    '(uid=a(b)',
    '(uid=\\zz)',
    '(uid=\\2)',
    '(a>=*)',
    '(:=x)',
    '(cn:rule:=a*b)',
    '(u id=1)',
    '(cn=\\ff*)',
    `${'(!'.repeat(40)}(a=1)${')'.repeat(40)}`,
    `(cn=${'a'.repeat(5000)})`,
  ])('that is none is refused: %s', (template) => {
    expect(FilterTemplate.parse(template)).toBeNull();
  });
});

describe('what a client sends', () => {
  it('is a value and nothing else, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }), (login) => {
        if (/\p{Cs}/u.test(login)) return;
        const parsed = filled('(&(objectClass=user)(uid=%s))', { login });
        const value = Buffer.from(login).toString('hex');
        const length = Buffer.from(login).length.toString(16).padStart(2, '0');
        // Octet string "uid", octet string with the very bytes: an equality, at the end of two conditions.
        if (Buffer.from(login).length < 128) expect(parsed.endsWith(`0403756964${'04'}${length}${value}`)).toBe(true);
      }),
    );
  });

  it.each(['*', 's*o', ')(uid=*', '\\2a', '%d', '%s', '(', '\0'])('%s stays itself', (login) => {
    const value = Buffer.from(login).toString('hex');
    expect(filled('(uid=%s)', { login }).endsWith(value)).toBe(true);
    // Tag of an equality, not of presence or substrings.
    expect(filled('(uid=%s)', { login }).startsWith('a3')).toBe(true);
    expect(filled('(cn=*%s*)', { login })).toContain(value);
  });
});
